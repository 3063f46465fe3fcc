// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	kmsapi "k8s.io/kms/apis/v2"
)

const (
	timeout   = 3 * time.Second // of kube-apiserver's KMS entry, by default
	seedBytes = 32              // what kube-apiserver sends to Encrypt
	uid       = "0f4b5b2e-7d7c-4b5f-9d0e-3a1c2b4d5e6f"
)

// client holds one connection and one wrapped seed for Decrypt.
type client struct {
	conn    *grpc.ClientConn
	kms     kmsapi.KeyManagementServiceClient
	seed    []byte
	wrapped *kmsapi.EncryptResponse
}

// dial connects as kube-apiserver 1.32 and later do.
func dial(socket string) (*client, error) {
	conn, err := grpc.NewClient("passthrough:///"+socket,
		grpc.WithAuthority("localhost"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
		}))
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, kms: kmsapi.NewKeyManagementServiceClient(conn)}, nil
}

// open connects and wraps a seed, so that the connection stands and Decrypt can be called. It waits
// for a server that is not ready yet.
func open(socket string) (*client, error) {
	c, err := dial(socket)
	if err != nil {
		return nil, err
	}
	c.seed = make([]byte, seedBytes)
	_, _ = rand.Read(c.seed) // never fails: it ends the process instead
	if _, err := untilReady(time.Now(), c.wrap); err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("Encrypt before the measurement: %w", err)
	}
	return c, nil
}

func (c *client) wrap(ctx context.Context) (err error) {
	c.wrapped, err = c.kms.Encrypt(ctx, &kmsapi.EncryptRequest{Plaintext: c.seed, Uid: uid})
	return err
}

type callFunc func(ctx context.Context) error

func (c *client) method(name string) (callFunc, error) {
	switch name {
	case "Status":
		return c.status, nil
	case "Encrypt":
		return c.encrypt, nil
	case "Decrypt":
		return c.decrypt, nil
	}
	return nil, fmt.Errorf("--method %s: wants Status, Encrypt or Decrypt", name)
}

func (c *client) status(ctx context.Context) error {
	a, err := c.kms.Status(ctx, &kmsapi.StatusRequest{})
	if err == nil && a.Healthz != "ok" {
		err = fmt.Errorf("Status says %q", a.Healthz)
	}
	return err
}

func (c *client) encrypt(ctx context.Context) error {
	a, err := c.kms.Encrypt(ctx, &kmsapi.EncryptRequest{Plaintext: c.seed, Uid: uid})
	if err == nil && (len(a.Ciphertext) <= seedBytes || a.KeyId == "") {
		err = errors.New("Encrypt gave no ciphertext or no key id")
	}
	return err
}

func (c *client) decrypt(ctx context.Context) error {
	a, err := c.kms.Decrypt(ctx, &kmsapi.DecryptRequest{Ciphertext: c.wrapped.Ciphertext, Uid: uid,
		KeyId: c.wrapped.KeyId, Annotations: c.wrapped.Annotations})
	if err == nil && !bytes.Equal(a.Plaintext, c.seed) {
		err = errors.New("Decrypt gave another plaintext")
	}
	return err
}

// timed makes one call with its deadline and gives the time that it took.
func timed(call callFunc) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	began := time.Now()
	err := call(ctx)
	return time.Since(began), err
}
