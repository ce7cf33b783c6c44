package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A log that is not ours, held in memory: records of a stated seed, hashed and signed by Go.
type foreignLog struct {
	signer note.Signer
	stored []tlog.Hash
	size   int64
}

func (l *foreignLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, l.stored[i])
	}
	return out, nil
}

func (l *foreignLog) grow(size int64, seed string) {
	for ; l.size < size; l.size++ {
		hashes, err := tlog.StoredHashes(l.size, []byte(fmt.Sprintf("%s %d", seed, l.size)), l)
		check(err, "hashes")
		l.stored = append(l.stored, hashes...)
	}
}

func (l *foreignLog) checkpoint(signers ...note.Signer) []byte {
	root, err := tlog.TreeHash(l.size, l)
	check(err, "root")
	text := fmt.Sprintf("%s\n%d\n%s\n", l.signer.Name(), l.size, root)
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	check(err, "signature")
	return signed
}

// The body of add-checkpoint of c2sp.org/tlog-witness.
func (l *foreignLog) request(old int64, signers ...note.Signer) []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	if old > 0 && old < l.size {
		proof, err := tlog.ProveTree(l.size, old, l)
		check(err, "proof")
		for _, hash := range proof {
			fmt.Fprintf(&body, "%s\n", hash)
		}
	}
	body.WriteByte('\n')
	body.Write(l.checkpoint(signers...))
	return body.Bytes()
}

func post(url string, body []byte) (int, string, string) {
	reply, err := http.Post(url+"/add-checkpoint", "text/plain", bytes.NewReader(body))
	check(err, "add-checkpoint")
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	check(err, "add-checkpoint")
	return reply.StatusCode, reply.Header.Get("Content-Type"), string(text)
}

// Asks a witness to cosign a log of ours in Go, and to refuse what the
// specification says it must refuse.
func submit(url, skey, vkey, witnessVkey string) {
	signer, err := note.NewSigner(skey)
	check(err, "skey")
	verifier, err := note.NewVerifier(vkey)
	check(err, "vkey")
	witness := parseCosigner(witnessVkey)
	log := &foreignLog{signer: signer}
	expect := func(what string, body []byte, status int) string {
		got, kind, text := post(url, body)
		if got != status {
			check(fmt.Errorf("%s: status %d, not %d: %s", what, got, status, text), "witness")
		}
		if status == 409 && (kind != "text/x.tlog.size" || text != fmt.Sprintf("%d\n", log.size)) {
			check(fmt.Errorf("%s: %q of type %q", what, text, kind), "witness")
		}
		fmt.Printf("%d %s\n", status, what)
		return text
	}
	cosigned := func(what string, old int64) {
		lines := expect(what, log.request(old, signer), 200)
		tree := open([]byte(string(log.checkpoint(signer))+lines), verifier, []note.Verifier{witness})
		if tree.N != log.size {
			check(errors.New(what), "size")
		}
	}
	log.grow(3, "a")
	cosigned("a first tree", 0)
	cosigned("the same tree again", 3)
	log.grow(300, "a")
	cosigned("a larger tree", 3)
	expect("a tree known to be older", log.request(3, signer), 409)

	fork := &foreignLog{signer: signer}
	fork.grow(299, "a")
	fork.grow(310, "b")
	expect("a fork", fork.request(300, signer), 422)
	same := &foreignLog{signer: signer}
	same.grow(299, "a")
	same.grow(300, "b")
	// 409 in drafts of the specification, 422 since.
	expect("another root of the same size", same.request(300, signer), 422)

	strangerKey, _, err := note.GenerateKey(rand.Reader, signer.Name())
	check(err, "key")
	stranger, err := note.NewSigner(strangerKey)
	check(err, "key")
	log.grow(301, "a")
	unsigned := log.request(300, stranger)
	expect("a checkpoint signed by a stranger", unsigned, 403)
	otherKey, _, err := note.GenerateKey(rand.Reader, "example.com/unknown")
	check(err, "key")
	other, err := note.NewSigner(otherKey)
	check(err, "key")
	unknown := &foreignLog{signer: other}
	unknown.grow(2, "c")
	expect("a log it does not follow", unknown.request(0, other), 404)
	expect("an old size above the new", bytes.Replace(log.request(301, signer), []byte("old 301"), []byte("old 302"), 1), 400)
	expect("garbage", []byte("old x\n\n"), 400)
	cosigned("one more record after all that", 300)
}
