package regtest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// The log is the durable form of a chain: what happened, in order.
//
//	record: kind (1) | length (4, big endian) | payload | CRC-32C of all before (4)
//
// A block's payload is its serialization, the other kinds carry a block hash.
type recordKind byte

const (
	recordBlock recordKind = iota + 1
	recordInvalidate
	recordReconsider
)

const (
	recordHeader  = 1 + 4
	recordTrailer = 4
	// maxRecord is the largest block there can be; a length beyond it is damage.
	maxRecord = 4_000_000
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errTorn = errors.New("record is incomplete")
)

// blockLog appends records to a file. Appending is cheap; sync makes all
// appended records durable together.
type blockLog struct {
	f       *os.File
	pending []byte // appended, not yet written
}

// openLog replays the records of path, creating the file if needed, and leaves it
// ready for appending. A torn record at the end was never acknowledged to anyone
// and is cut off; a damaged record with a whole record's bytes after it was, so
// it is an error, not a silent loss of blocks.
func openLog(path string, replay func(recordKind, []byte) error) (*blockLog, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &blockLog{f: f}
	if err := l.load(replay); err != nil {
		return nil, errors.Join(fmt.Errorf("replay %s: %w", path, err), f.Close())
	}
	// The directory entry of a new file is not durable before its directory is.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

func (l *blockLog) load(replay func(recordKind, []byte) error) error {
	r := bufio.NewReaderSize(l.f, 1<<20)
	var end int64
	for {
		kind, payload, err := readRecord(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errTorn) {
			if err := l.f.Truncate(end); err != nil {
				return err
			}
			break
		}
		if err != nil {
			return fmt.Errorf("at offset %d: %w", end, err)
		}
		if err := replay(kind, payload); err != nil {
			return fmt.Errorf("at offset %d: %w", end, err)
		}
		end += int64(recordHeader + len(payload) + recordTrailer)
	}
	_, err := l.f.Seek(end, io.SeekStart)
	return err
}

// readRecord returns io.EOF at a clean end and errTorn if the file ends inside
// the record or the record is damaged and the last one.
func readRecord(r *bufio.Reader) (recordKind, []byte, error) {
	var head [recordHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTorn
		}
		return 0, nil, err
	}
	kind, size := recordKind(head[0]), binary.BigEndian.Uint32(head[1:])
	if size > maxRecord || kind < recordBlock || kind > recordReconsider {
		return 0, nil, fmt.Errorf("record header %x is not one of ours", head)
	}
	// Memory follows what is there: of a torn record the size is only a claim.
	body, err := io.ReadAll(io.LimitReader(r, int64(size)+recordTrailer))
	if err != nil {
		return 0, nil, err
	}
	if len(body) < int(size)+recordTrailer {
		return 0, nil, errTorn
	}
	payload := body[:size]
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, payload)
	if sum != binary.BigEndian.Uint32(body[size:]) {
		if _, err := r.Peek(1); errors.Is(err, io.EOF) {
			return 0, nil, errTorn
		}
		return 0, nil, errors.New("record checksum does not match")
	}
	return kind, payload, nil
}

// append adds a record; it is durable after the next sync.
func (l *blockLog) append(kind recordKind, payload []byte) {
	start := len(l.pending)
	l.pending = append(l.pending, byte(kind))
	l.pending = binary.BigEndian.AppendUint32(l.pending, uint32(len(payload)))
	l.pending = append(l.pending, payload...)
	l.pending = binary.BigEndian.AppendUint32(l.pending, crc32.Checksum(l.pending[start:], castagnoli))
}

// sync writes what was appended and returns when the disk has it.
func (l *blockLog) sync() error {
	if len(l.pending) == 0 {
		return nil
	}
	if _, err := l.f.Write(l.pending); err != nil {
		return err
	}
	l.pending = l.pending[:0]
	return l.f.Sync()
}

func (l *blockLog) close() error { return l.f.Close() }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
