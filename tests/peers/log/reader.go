// A reader of our logs that shares no code with them: golang.org/x/mod/sumdb/{note,tlog}.
//
//	logreader URL VKEY [WITNESS_VKEY] [FILE.tlog-proof ENTRY_HEX]…
//	logreader keygen NAME
//	logreader submit WITNESS_URL SKEY VKEY WITNESS_VKEY
//
// It opens the checkpoint, reads every entry bundle and tile through tlog.TileHashReader, proves and
// checks inclusion of records and consistency of earlier trees, checks the witness's cosignature
// and each proof file. Prints what it did; exits 1 at the first thing that does not hold.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "logreader: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func fetch(url string) ([]byte, error) {
	reply, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", url, reply.Status)
	}
	return body, err
}

// tile/8/0/x001/234.p/5 of the Go checksum database is tile/0/x001/234.p/5 of tlog-tiles.
func tilesPath(t tlog.Tile) string {
	parts := strings.SplitN(t.Path(), "/", 3)
	return "tile/" + strings.Replace(parts[2], "data/", "entries/", 1)
}

type tiles struct{ url string }

func (r tiles) Height() int { return 8 }
func (r tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range wanted {
		data, err := fetch(r.url + "/" + tilesPath(t))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}
func (r tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func bundle(url string, n, width int64) [][]byte {
	t := tlog.Tile{H: 8, L: -1, N: n, W: int(width)}
	data, err := fetch(url + "/" + tilesPath(t))
	check(err, "entry bundle")
	var out [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			check(errors.New("cut short"), tilesPath(t))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		out = append(out, data[2:end])
		data = data[end:]
	}
	if int64(len(out)) != width {
		check(fmt.Errorf("%d entries, not %d", len(out), width), tilesPath(t))
	}
	return out
}

// The timestamped cosignature of c2sp.org/tlog-cosignature as a note.Verifier.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	return ed25519.Verify(c.key, append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", time)), msg...), sig[8:])
}

func parseCosigner(vkey string) cosigner {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		check(errors.New("not a vkey"), vkey)
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	check(err, vkey)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	check(err, vkey)
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if len(key) != 33 || key[0] != 4 || uint64(binary.BigEndian.Uint32(sum[:])) != hash {
		check(errors.New("not the vkey of a witness"), vkey)
	}
	return cosigner{parts[0], uint32(hash), key[1:]}
}

func open(text []byte, log note.Verifier, witnesses []note.Verifier) tlog.Tree {
	n, err := note.Open(text, note.VerifierList(append([]note.Verifier{log}, witnesses...)...))
	check(err, "checkpoint")
	if len(n.Sigs) != 1+len(witnesses) {
		check(fmt.Errorf("%d good signatures, not %d", len(n.Sigs), 1+len(witnesses)), "checkpoint")
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != log.Name() {
		check(fmt.Errorf("%q", n.Text), "checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "checkpoint size")
	root, err := tlog.ParseHash(lines[2])
	check(err, "checkpoint root")
	return tlog.Tree{N: size, Hash: root}
}

func checkProofFile(path, entryHex string, log note.Verifier, witnesses []note.Verifier) {
	text, err := os.ReadFile(path)
	check(err, path)
	parts := bytes.SplitN(text, []byte("\n\n"), 2)
	if len(parts) != 2 {
		check(errors.New("no checkpoint"), path)
	}
	lines := strings.Split(string(parts[0]), "\n")
	if len(lines) > 1 && strings.HasPrefix(lines[1], "extra ") {
		lines = append(lines[:1], lines[2:]...)
	}
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		check(errors.New("not a tlog-proof"), path)
	}
	index, err := strconv.ParseInt(lines[1][6:], 10, 64)
	check(err, path)
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		check(err, path)
		proof = append(proof, hash)
	}
	entry, err := hex.DecodeString(entryHex)
	check(err, "entry")
	tree := open(parts[1], log, witnesses)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)), path)
	fmt.Printf("%s: entry %d of %d\n", path, index, tree.N)
}

func main() {
	args := os.Args[1:]
	if len(args) == 2 && args[0] == "keygen" {
		skey, vkey, err := note.GenerateKey(rand.Reader, args[1])
		check(err, "key")
		fmt.Printf("%s\n%s\n", skey, vkey)
		return
	}
	if len(args) == 5 && args[0] == "submit" {
		submit(args[1], args[2], args[3], args[4])
		return
	}
	if len(args) < 2 {
		check(errors.New("URL VKEY [WITNESS_VKEY] [FILE ENTRY_HEX]…"), "usage")
	}
	url := args[0]
	log, err := note.NewVerifier(args[1])
	check(err, "vkey")
	args = args[2:]
	var witnesses []note.Verifier
	if len(args)%2 == 1 {
		witnesses = append(witnesses, parseCosigner(args[0]))
		args = args[1:]
	}
	text, err := fetch(url + "/checkpoint")
	check(err, "checkpoint")
	tree := open(text, log, witnesses)
	reader := tlog.TileHashReader(tree, tiles{url})

	var leaves []tlog.Hash
	for n := int64(0); n*256 < tree.N; n++ {
		width := tree.N - n*256
		if width > 256 {
			width = 256
		}
		for _, entry := range bundle(url, n, width) {
			leaves = append(leaves, tlog.RecordHash(entry))
		}
	}
	step := tree.N/97 + 1
	for n := int64(0); n < tree.N; n += step {
		proof, err := tlog.ProveRecord(tree.N, n, reader)
		check(err, "proof of a record")
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaves[n]), fmt.Sprintf("record %d", n))
	}
	for n := int64(1); n <= tree.N; n += step {
		old, err := tlog.TreeHash(n, reader)
		check(err, "root of an earlier tree")
		proof, err := tlog.ProveTree(tree.N, n, reader)
		check(err, "proof of a tree")
		check(tlog.CheckTree(proof, tree.N, tree.Hash, n, old), fmt.Sprintf("tree of %d", n))
	}
	// The leaves that the bundles give, stored as Go stores them, have the same root.
	var stored []tlog.Hash
	at := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for n, leaf := range leaves {
		hashes, err := tlog.StoredHashesForRecordHash(int64(n), leaf, at)
		check(err, "hashes")
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(tree.N, at)
	check(err, "root of the entries")
	if root != tree.Hash {
		check(errors.New("the entries do not make the signed root"), url)
	}
	fmt.Printf("%d entries, root %v, %d cosignatures\n", tree.N, tree.Hash, len(witnesses))
	for i := 0; i+1 < len(args); i += 2 {
		checkProofFile(args[i], args[i+1], log, witnesses)
	}
}
