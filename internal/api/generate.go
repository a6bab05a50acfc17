package api

// The plugins are tools of go.mod; protoc is Debian's protobuf-compiler.
//
//go:generate sh -c "protoc --plugin=protoc-gen-go=`go tool -n protoc-gen-go` --plugin=protoc-gen-connect-go=`go tool -n protoc-gen-connect-go` --go_out=. --go_opt=paths=source_relative --connect-go_out=. --connect-go_opt=paths=source_relative frostfed/v1/frostfed.proto"
