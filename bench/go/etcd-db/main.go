// SPDX-License-Identifier: Apache-2.0

// etcd-db writes a database as etcd and kube-apiserver make it, through bbolt itself: any number of
// objects of four resources, sealed under the seeds that standard input holds, with the hash of a
// snapshot behind it.
package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"os"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	smallest = 700 // bytes of an object, before it is sealed
	largest  = 4000
	batch    = 10000
	provider = "k8s:enc:kms:v2:etcdseal:"
)

// What a KMS plugin gave for a seed.
type seed struct {
	Seed        []byte            `json:"seed"`
	Ciphertext  []byte            `json:"ciphertext"`
	KeyID       string            `json:"key_id"`
	Annotations map[string][]byte `json:"annotations"`
}

var resources = []struct{ path, kind string }{
	{"secrets", "Secret"}, {"configmaps", "ConfigMap"}, {"pods", "Pod"}, {"events", "Event"},
}

func field(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

func varint(b []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), value)
}

func object(kind, namespace, name string, padding []byte) []byte {
	typeMeta := field(field(nil, 1, []byte("v1")), 2, []byte(kind))
	metadata := field(field(nil, 1, []byte(name)), 3, []byte(namespace))
	raw := field(field(nil, 1, metadata), 2, padding)
	return append([]byte("k8s\x00"), field(field(nil, 1, typeMeta), 2, raw)...)
}

func (s *seed) seal(random io.Reader, etcdKey, plaintext []byte) ([]byte, error) {
	head := make([]byte, 32+12)
	if _, err := io.ReadFull(random, head); err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, s.Seed)
	mac.Write(head[:32])
	mac.Write([]byte{1})
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	data := aead.Seal(head, head[32:], plaintext, etcdKey)
	out := field([]byte(provider), 1, data)
	out = field(field(out, 2, []byte(s.KeyID)), 3, s.Ciphertext)
	for name, value := range s.Annotations {
		out = field(out, 4, field(field(nil, 1, []byte(name)), 2, value))
	}
	return varint(out, 5, 1), nil
}

// revision is a key of etcd's bucket `key`, and its KeyValue.
func revision(main uint64, key, value []byte) ([]byte, []byte) {
	at := binary.BigEndian.AppendUint64(nil, main)
	at = binary.BigEndian.AppendUint64(append(at, '_'), 0)
	kv := varint(varint(field(nil, 1, key), 2, main), 3, main)
	return at, field(varint(kv, 4, 1), 5, value)
}

type writer struct {
	db     *bbolt.DB
	random *rand.ChaCha8
	pick   *rand.Rand
	seeds  []seed
	last   uint64
}

func (w *writer) put(bucket *bbolt.Bucket, key string, value []byte) error {
	w.last++
	at, kv := revision(w.last, []byte(key), value)
	return bucket.Put(at, kv)
}

func (w *writer) putObject(bucket *bbolt.Bucket, n int) error {
	resource := resources[n%len(resources)]
	namespace, name := fmt.Sprintf("ns-%d", n%100), fmt.Sprintf("object-%d", n)
	share := math.Pow(w.pick.Float64(), 6) // most objects are small, as a cluster's are
	padding := bytes.Repeat([]byte{byte(n)}, smallest+int((largest-smallest)*share))
	key := fmt.Sprintf("/registry/%s/%s/%s", resource.path, namespace, name)
	one := &w.seeds[w.pick.IntN(len(w.seeds))]
	value, err := one.seal(w.random, []byte(key), object(resource.kind, namespace, name, padding))
	if err != nil {
		return err
	}
	return w.put(bucket, key, value)
}

func (w *writer) fill(count int) error {
	begin := func(tx *bbolt.Tx) error {
		for _, name := range []string{"alarm", "auth", "authRoles", "authUsers", "cluster", "key",
			"lease", "members", "members_removed", "meta"} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		for _, name := range []string{"consistent_index", "term"} {
			if err := tx.Bucket([]byte("meta")).Put([]byte(name), binary.BigEndian.AppendUint64(nil, 1)); err != nil {
				return err
			}
		}
		for _, name := range []string{"default", "kube-system"} {
			if err := w.put(tx.Bucket([]byte("key")), "/registry/namespaces/"+name,
				object("Namespace", "", name, nil)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := w.db.Update(begin); err != nil {
		return err
	}
	for from := 0; from < count; from += batch {
		err := w.db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket([]byte("key"))
			bucket.FillPercent = 0.9 // as etcd
			for n := from; n < min(from+batch, count); n++ {
				if err := w.putObject(bucket, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func appendHash(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	_, err = file.Write(sum.Sum(nil))
	return err
}

func run(path string, count int) error {
	w := &writer{random: rand.NewChaCha8([32]byte{1}), pick: rand.New(rand.NewPCG(1, 2))}
	if err := json.NewDecoder(os.Stdin).Decode(&w.seeds); err != nil {
		return fmt.Errorf("seeds on standard input: %w", err)
	}
	if len(w.seeds) == 0 {
		return fmt.Errorf("no seeds on standard input")
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true,
		InitialMmapSize: 1 << 30})
	if err != nil {
		return err
	}
	w.db = db
	if err := w.fill(count); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	return appendHash(path)
}

func main() {
	path := flag.String("out", "", "file to write")
	count := flag.Int("objects", 10000, "number of objects")
	flag.Parse()
	if *path == "" || flag.NArg() > 0 || *count < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*path, *count); err != nil {
		log.Fatal("etcd-db: ", err)
	}
}
