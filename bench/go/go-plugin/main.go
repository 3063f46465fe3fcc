// SPDX-License-Identifier: Apache-2.0

// go-plugin is a KMS v2 plugin as Go authors write it: the service of k8s.io/kms, with one AES-256
// key in memory and AES-GCM from the standard library. It is what bench/ compares with.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/kms/pkg/service"
)

const (
	keyID   = "bench"
	timeout = 3 * time.Second // of kube-apiserver's KMS entry, by default
)

type plugin struct {
	aead cipher.AEAD
}

func newPlugin() (*plugin, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: it ends the process instead
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &plugin{aead}, nil
}

func (p *plugin) Status(context.Context) (*service.StatusResponse, error) {
	return &service.StatusResponse{Version: "v2", Healthz: "ok", KeyID: keyID}, nil
}

func (p *plugin) Encrypt(_ context.Context, _ string, data []byte) (*service.EncryptResponse, error) {
	nonce := make([]byte, p.aead.NonceSize(), p.aead.NonceSize()+len(data)+p.aead.Overhead())
	_, _ = rand.Read(nonce)
	return &service.EncryptResponse{Ciphertext: p.aead.Seal(nonce, nonce, data, nil), KeyID: keyID}, nil
}

func (p *plugin) Decrypt(_ context.Context, _ string, r *service.DecryptRequest) ([]byte, error) {
	size := p.aead.NonceSize()
	if r.KeyID != keyID || len(r.Ciphertext) < size {
		return nil, errors.New("not one of ours")
	}
	return p.aead.Open(nil, r.Ciphertext[:size], r.Ciphertext[size:], nil)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go-plugin SOCKET")
		os.Exit(2)
	}
	p, err := newPlugin()
	if err == nil {
		err = service.NewGRPCService(os.Args[1], timeout, p).ListenAndServe()
	}
	fmt.Fprintln(os.Stderr, "go-plugin:", err)
	os.Exit(1)
}
