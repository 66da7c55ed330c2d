//go:build tools

// Package tools names the outside peer the store is tested against: `go build github.com/ipfs/kubo/cmd/ipfs`.
package tools

import _ "github.com/ipfs/kubo/cmd/ipfs"
