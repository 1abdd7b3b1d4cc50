package mpilink

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rankpool/rankpool/internal/owndir"
)

// SecretVariable names a file with the secret that servers and masters share which do not share a port file.
const SecretVariable = "RANKPOOL_SERVICE_SECRET"

// secretLength is how many bytes a secret has at least; one that is made here has more.
const secretLength = 16

// secret is what a server and its masters know and nobody else does. It is never sent: both sides prove that they know it.
type secret []byte

// newSecret makes up a secret.
func newSecret() secret { return secret(rand.Text() + rand.Text()) }

// sharedSecret reads the secret of this user's servers and masters: from the file that SecretVariable names, or from
// rankpool/secret in the user's folder for settings. A server makes the latter when it is not there.
func sharedSecret(server bool) (secret, error) {
	if path := os.Getenv(SecretVariable); path != "" {
		s, err := readSecret(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", SecretVariable, err)
		}
		return s, nil
	}
	settings, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("master and server need a secret that both can read, and there is no folder for one (%w): make a file of your "+
			"own, readable for nobody else, with %d characters or more, and name it with %s", err, secretLength, SecretVariable)
	}
	path := filepath.Join(settings, "rankpool", "secret")
	if server {
		if err := makeSecret(path); err != nil {
			return nil, fmt.Errorf("cannot make the secret that masters must know: %w; name a file that has one with %s", err, SecretVariable)
		}
	}
	s, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no secret to tell the server that this is its master: copy %s from the server's host, or name a "+
			"file with the server's secret with %s: %w", path, SecretVariable, errNoServer)
	}
	return s, err
}

// makeSecret makes the file of a secret unless there is one. Several servers may do so at once.
func makeSecret(path string) error {
	dir, err := owndir.Parent(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	name := filepath.Base(path)
	if _, err := dir.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	whole := "." + name + "-" + rand.Text()
	if err := dir.WriteFile(whole, append(newSecret(), '\n'), 0o600); err != nil {
		return err
	}
	err = dir.Link(whole, name) // which replaces nothing
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, dir.Remove(whole))
}

func readSecret(path string) (secret, error) {
	text, err := readOwn(path)
	if err != nil {
		return nil, err
	}
	s := secret(bytes.TrimSpace(text))
	if len(s) < secretLength {
		return nil, fmt.Errorf("%s has no secret: %d characters, of %d or more", path, len(s), secretLength)
	}
	return s, nil
}

// maxOwn is how much is read of a file with a secret.
const maxOwn = 64 << 10

// readOwn reads a file that nobody but this user can have written or read.
func readOwn(path string) ([]byte, error) {
	f, err := openOwn(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxOwn))
}

// sign is what somebody says who knows the secret and nobody else can, about some words.
func (s secret) sign(words ...string) []byte {
	h := hmac.New(sha256.New, s)
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s,", len(w), w)
	}
	return h.Sum(nil)
}

// handshake is what both sides of a line have said before they know each other.
type handshake struct {
	kind, id       string
	master, server string // their nonces
}

// proof is how one side, "master" or "server", shows that it knows the secret. It is good for this handshake alone.
func (s secret) proof(side string, h handshake) string {
	return hex.EncodeToString(s.sign("rankpool proof", side, fmt.Sprint(lineVersion), h.kind, h.id, h.master, h.server))
}

// proves tells whether a proof is right.
func (s secret) proves(proof, side string, h handshake) bool {
	return hmac.Equal([]byte(proof), []byte(s.proof(side, h)))
}

// key is what one side signs its messages with after the handshake.
func (s secret) key(side string, h handshake) secret {
	return s.sign("rankpool key", side, fmt.Sprint(lineVersion), h.kind, h.id, h.master, h.server)
}
