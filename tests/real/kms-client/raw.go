// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/util/uuid"
	kmsapi "k8s.io/kms/apis/v2"
)

const (
	servicePath = "/v2.KeyManagementService/"
	seedBytes   = 32 // what kube-apiserver sends to Encrypt
)

// dial connects as kube-apiserver 1.32 and later do. (grpc.NewClient does not exist in the oldest
// release that this is built with.)
func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.Dial(socket,
		grpc.WithAuthority("localhost"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
		}))
}

// request is one JSON object on the stdin of errors. Bytes are base64, as encoding/json has it.
type request struct {
	Method      string            `json:"method"` // Status, Encrypt, Decrypt; with raw: anything
	Plaintext   []byte            `json:"plaintext"`
	Ciphertext  []byte            `json:"ciphertext"`
	UID         string            `json:"uid"`
	KeyID       string            `json:"key_id"`
	Annotations map[string][]byte `json:"annotations"`
	Raw         *[]byte           `json:"raw"` // the message body, byte for byte
	Expect      string            `json:"expect"`
}

// rawCodec passes message bodies through untouched.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}

// send makes the call and gives the answer's fields.
func (r request) send(ctx context.Context, conn *grpc.ClientConn) (result, error) {
	if r.Raw != nil {
		path := r.Method
		if !strings.HasPrefix(path, "/") {
			path = servicePath + path
		}
		var body []byte
		if err := conn.Invoke(ctx, path, r.Raw, &body, grpc.ForceCodec(rawCodec{})); err != nil {
			return nil, err
		}
		return result{"raw": body}, nil
	}
	kms := kmsapi.NewKeyManagementServiceClient(conn)
	switch r.Method {
	case "Status":
		a, err := kms.Status(ctx, &kmsapi.StatusRequest{})
		if err != nil {
			return nil, err
		}
		return result{"version": a.Version, "healthz": a.Healthz, "key_id": a.KeyId}, nil
	case "Encrypt":
		a, err := kms.Encrypt(ctx, &kmsapi.EncryptRequest{Plaintext: r.Plaintext, Uid: r.UID})
		if err != nil {
			return nil, err
		}
		return result{"ciphertext": a.Ciphertext, "key_id": a.KeyId, "annotations": a.Annotations}, nil
	case "Decrypt":
		a, err := kms.Decrypt(ctx, &kmsapi.DecryptRequest{Ciphertext: r.Ciphertext, Uid: r.UID,
			KeyId: r.KeyID, Annotations: r.Annotations})
		if err != nil {
			return nil, err
		}
		return result{"plaintext": a.Plaintext}, nil
	}
	return nil, fmt.Errorf("method %q: wants Status, Encrypt, Decrypt, or a raw body", r.Method)
}

const errorsHelp = `requests on stdin, JSON objects one after the other; one JSON line is the answer to each:
  {"method": "Status"}
  {"method": "Encrypt", "plaintext": BASE64, "uid": TEXT}
  {"method": "Decrypt", "ciphertext": BASE64, "uid": TEXT, "key_id": TEXT, "annotations": {TEXT: BASE64}}
  {"method": NAME or /PATH, "raw": BASE64}    a message body as it is
Fields that are left out are sent empty. "expect": "InvalidArgument" (Go's or the protocol's
spelling) makes any other code a failure.`

func setupErrors(fs *flag.FlagSet) func() (result, error) {
	socket := fs.String("socket", "", "the plugin's socket")
	timeout := fs.Duration("timeout", 3*time.Second, "deadline of each call")
	flags := fs.Usage
	fs.Usage = func() {
		flags()
		fmt.Fprintln(fs.Output(), errorsHelp)
	}
	return func() (result, error) {
		conn, err := dial(*socket)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		asExpected := true
		requests := json.NewDecoder(os.Stdin)
		requests.DisallowUnknownFields()
		for {
			var r request
			if err := requests.Decode(&r); err == io.EOF {
				break
			} else if err != nil {
				return nil, fmt.Errorf("stdin: %w", err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), *timeout)
			start := time.Now()
			response, err := r.send(ctx, conn)
			cancel()
			code := status.Code(err)
			answer := result{
				"ok":          r.Expect == "" || sameCode(code, r.Expect),
				"method":      r.Method,
				"code":        code.String(),
				"code_number": int(code),
				"message":     status.Convert(err).Message(),
				"ms":          time.Since(start).Milliseconds(),
			}
			if response != nil {
				answer["response"] = response
			}
			if answer["ok"] != true {
				answer["expected"] = r.Expect
				asExpected = false
			}
			emit(answer)
		}
		if !asExpected {
			return nil, errPrinted
		}
		return nil, nil
	}
}

// sameCode compares with InvalidArgument as well as INVALID_ARGUMENT.
func sameCode(code codes.Code, name string) bool {
	return strings.EqualFold(code.String(), strings.ReplaceAll(name, "_", ""))
}

// answer is one answer with a key id: when its call began and when it had ended.
type answer struct {
	begin, end time.Duration
	id         int
}

// records is what one goroutine saw; each has its own, so that none waits for another.
type records struct {
	answers []answer
	ids     []string
	index   map[string]int
	calls   int
	slowest time.Duration
	codes   map[string]int
	texts   map[string]string // the first message of each code
	split   int               // probes that fail: Status and the next Encrypt named different keys
}

func newRecords() *records {
	return &records{index: map[string]int{}, codes: map[string]int{}, texts: map[string]string{}}
}

// add records one call. A good answer without a key id (Decrypt) leaves keyID empty.
func (r *records) add(begin, end time.Duration, keyID string, err error) {
	r.calls++
	r.slowest = max(r.slowest, end-begin)
	if err != nil {
		code := status.Code(err).String()
		if r.codes[code] == 0 {
			r.texts[code] = status.Convert(err).Message()
		}
		r.codes[code]++
		return
	}
	if keyID == "" {
		return
	}
	id, known := r.index[keyID]
	if !known {
		id = len(r.ids)
		r.index[keyID] = id
		r.ids = append(r.ids, keyID)
	}
	r.answers = append(r.answers, answer{begin, end, id})
}

// merge puts the records of all goroutines into one.
func merge(all []*records) *records {
	sum := newRecords()
	for _, r := range all {
		for _, a := range r.answers {
			id, known := sum.index[r.ids[a.id]]
			if !known {
				id = len(sum.ids)
				sum.index[r.ids[a.id]] = id
				sum.ids = append(sum.ids, r.ids[a.id])
			}
			sum.answers = append(sum.answers, answer{a.begin, a.end, id})
		}
		sum.calls += r.calls
		sum.slowest = max(sum.slowest, r.slowest)
		for code, n := range r.codes {
			if sum.codes[code] == 0 {
				sum.texts[code] = r.texts[code]
			}
			sum.codes[code] += n
		}
	}
	return sum
}

// mostSplit is the largest number of split probes that one goroutine saw.
func mostSplit(all []*records) (most int) {
	for _, r := range all {
		most = max(most, r.split)
	}
	return most
}

func (r *records) failures() (n int) {
	for _, count := range r.codes {
		n += count
	}
	return n
}

// order gives the key ids in the order of first sight, and counts the regressions: calls that
// began after an answer with a newer id had ended, and yet were answered with an older one.
func (r *records) order() (ids []string, regressions int) {
	byEnd := append([]answer(nil), r.answers...)
	sort.Slice(byEnd, func(i, j int) bool { return byEnd[i].end < byEnd[j].end })
	rank := map[int]int{}
	for _, a := range byEnd {
		if _, seen := rank[a.id]; !seen {
			rank[a.id] = len(ids)
			ids = append(ids, r.ids[a.id])
		}
	}
	byBegin := append([]answer(nil), r.answers...)
	sort.Slice(byBegin, func(i, j int) bool { return byBegin[i].begin < byBegin[j].begin })
	newest, ended := 0, 0
	for _, a := range byBegin {
		for ended < len(byEnd) && byEnd[ended].end < a.begin {
			newest = max(newest, rank[byEnd[ended].id])
			ended++
		}
		if rank[a.id] < newest {
			regressions++
		}
	}
	return ids, regressions
}

// report is the part of the result that burst and hammer share.
func (r *records) report() result {
	ids, regressions := r.order()
	if ids == nil {
		ids = []string{}
	}
	out := result{
		"calls":          r.calls,
		"failures":       r.failures(),
		"errors_by_code": r.codes,
		"ids":            ids,
		"regressions":    regressions,
		"slowest_ms":     r.slowest.Milliseconds(),
	}
	if len(r.texts) > 0 {
		out["first_messages"] = r.texts
	}
	return out
}

func randomSeed() []byte {
	seed := make([]byte, seedBytes)
	_, _ = rand.Read(seed) // never fails: it ends the process instead
	return seed
}

func uid() string { return string(uuid.NewUUID()) }

func setupBurst(fs *flag.FlagSet) func() (result, error) {
	socket := fs.String("socket", "", "the plugin's socket")
	count := fs.Int("count", 10000, "calls to send at once")
	method := fs.String("method", "Decrypt", "Decrypt, Encrypt or Status")
	distinct := fs.Int("distinct", 1, "different ciphertexts among the Decrypt calls")
	timeout := fs.Duration("timeout", 3*time.Second, "deadline of each call")
	return func() (result, error) {
		conn, err := dial(*socket)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		kms := kmsapi.NewKeyManagementServiceClient(conn)
		call := func(call func(ctx context.Context) error) error {
			ctx, cancel := context.WithTimeout(context.Background(), *timeout)
			defer cancel()
			return call(ctx)
		}

		// The connection stands before the burst, as it does in an API server.
		if err := call(func(ctx context.Context) error {
			_, err := kms.Status(ctx, &kmsapi.StatusRequest{})
			return err
		}); err != nil {
			return nil, fmt.Errorf("Status before the burst: %w", err)
		}
		var one func(ctx context.Context, i int) (keyID string, err error)
		switch *method {
		case "Status":
			one = func(ctx context.Context, _ int) (string, error) {
				a, err := kms.Status(ctx, &kmsapi.StatusRequest{})
				return a.GetKeyId(), err
			}
		case "Encrypt":
			one = func(ctx context.Context, _ int) (string, error) {
				a, err := kms.Encrypt(ctx, &kmsapi.EncryptRequest{Plaintext: randomSeed(), Uid: uid()})
				return a.GetKeyId(), err
			}
		case "Decrypt":
			seeds := make([][]byte, max(*distinct, 1))
			wrapped := make([]*kmsapi.EncryptResponse, len(seeds))
			for i := range seeds {
				seeds[i] = randomSeed()
				if err := call(func(ctx context.Context) (err error) {
					wrapped[i], err = kms.Encrypt(ctx, &kmsapi.EncryptRequest{Plaintext: seeds[i], Uid: uid()})
					return err
				}); err != nil {
					return nil, fmt.Errorf("Encrypt before the burst: %w", err)
				}
			}
			one = func(ctx context.Context, i int) (string, error) {
				w := wrapped[i%len(wrapped)]
				a, err := kms.Decrypt(ctx, &kmsapi.DecryptRequest{Ciphertext: w.Ciphertext,
					Uid: uid(), KeyId: w.KeyId, Annotations: w.Annotations})
				if err == nil && !bytes.Equal(a.Plaintext, seeds[i%len(seeds)]) {
					err = errors.New("Decrypt gave another plaintext")
				}
				return "", err
			}
		default:
			return nil, fmt.Errorf("--method %s: wants Decrypt, Encrypt or Status", *method)
		}

		all := make([]*records, *count)
		var ready, done sync.WaitGroup
		ready.Add(*count)
		done.Add(*count)
		fire := make(chan struct{})
		var start time.Time
		for i := range all {
			all[i] = newRecords()
			go func() {
				defer done.Done()
				ready.Done()
				<-fire
				begin := time.Since(start)
				_ = call(func(ctx context.Context) error {
					id, err := one(ctx, i)
					all[i].add(begin, time.Since(start), id, err)
					return err
				})
			}()
		}
		ready.Wait()
		start = time.Now()
		close(fire)
		done.Wait()
		wall := time.Since(start)

		r := merge(all).report()
		r["method"] = *method
		r["wall_ms"] = wall.Milliseconds()
		r["monotonic"] = r["regressions"] == 0
		r["ok"] = r["failures"] == 0 && r["regressions"] == 0
		return r, nil
	}
}

func setupHammer(fs *flag.FlagSet) func() (result, error) {
	socket := fs.String("socket", "", "the plugin's socket")
	seconds := fs.Float64("seconds", 10, "how long")
	workers := fs.Int("workers", 32, "calls in flight; each worker takes Status and Encrypt in turn, as a health check")
	timeout := fs.Duration("timeout", 3*time.Second, "deadline of each call")
	allowErrors := fs.Bool("allow-errors", false, "failed calls are no failure of the run")
	return func() (result, error) {
		conn, err := dial(*socket)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		kms := kmsapi.NewKeyManagementServiceClient(conn)
		all := make([]*records, *workers)
		length := time.Duration(*seconds * float64(time.Second))
		start := time.Now()
		var done sync.WaitGroup
		for w := range all {
			all[w] = newRecords()
			done.Add(1)
			go func() {
				defer done.Done()
				shown := "" // by the Status before
				for turn := w; time.Since(start) < length; turn++ {
					ctx, cancel := context.WithTimeout(context.Background(), *timeout)
					begin := time.Since(start)
					var id string
					var err error
					if turn%2 == 0 {
						var a *kmsapi.StatusResponse
						a, err = kms.Status(ctx, &kmsapi.StatusRequest{})
						id = a.GetKeyId()
					} else {
						var a *kmsapi.EncryptResponse
						a, err = kms.Encrypt(ctx, &kmsapi.EncryptRequest{Plaintext: randomSeed(), Uid: uid()})
						id = a.GetKeyId()
					}
					all[w].add(begin, time.Since(start), id, err)
					if turn%2 != 0 && shown != "" && id != "" && shown != id {
						all[w].split++
					}
					shown = id
					cancel()
				}
			}()
		}
		done.Wait()
		wall := time.Since(start)
		r := merge(all).report()
		r["wall_ms"] = wall.Milliseconds()
		r["calls_per_second"] = int(float64(r["calls"].(int)) / wall.Seconds())
		r["split_probes_of_one_worker"] = mostSplit(all)
		changes := len(r["ids"].([]string)) - 1
		r["ok"] = r["regressions"] == 0 && mostSplit(all) <= max(changes, 0) &&
			(*allowErrors || r["failures"] == 0)
		return r, nil
	}
}
