// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/component-base/metrics/legacyregistry"
	"sigs.k8s.io/yaml"
)

const (
	apiServerID    = "kms-client"
	storedPrefix   = "k8s:enc:kms:v2:"
	plaintextBytes = 1024
)

// client is what one API server holds after it has loaded an EncryptionConfiguration: its own
// connections, its own data encryption seeds and its own caches.
type client struct {
	config *encryptionconfig.EncryptionConfiguration
	close  context.CancelFunc
}

// open loads a configuration as kube-apiserver does with automatic reload on. A plugin that does
// not answer is no error here, just as there: the health check tells.
func open(file string) (*client, error) {
	names, err := providerNames(file)
	if err != nil {
		return nil, err
	}
	installClock(names)
	ctx, cancel := context.WithCancel(context.Background())
	config, err := encryptionconfig.LoadEncryptionConfig(ctx, file, true, apiServerID)
	if err != nil {
		cancel()
		return nil, err
	}
	return &client{config: config, close: cancel}, nil
}

// openHealthy opens and then wants a good health check, for which it waits if told to.
func openHealthy(file string, wait time.Duration) (*client, error) {
	c, err := open(file)
	if err != nil {
		return nil, err
	}
	if err := c.waitHealthy(wait); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// waitHealthy asks for the health until it is good or the time is over.
func (c *client) waitHealthy(wait time.Duration) error {
	for deadline := time.Now().Add(wait); ; time.Sleep(200 * time.Millisecond) {
		err := c.health()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("health check: %w", err)
		}
	}
}

// health runs the check behind /readyz/kms-providers. It is the same probe that follows the
// plugin's key id: Status, and Encrypt of a new seed when the key id is another one. Its last
// answer is remembered for 20 s when good and 3 s when bad.
func (c *client) health() error {
	req, err := http.NewRequest(http.MethodGet, "http://localhost/readyz/kms-providers", nil)
	if err != nil {
		return err
	}
	for _, check := range c.config.HealthChecks {
		if err := check.Check(req); err != nil {
			return err
		}
	}
	return nil
}

// transformer finds what stores a resource ("secrets", "deployments.apps"), wildcards included.
func (c *client) transformer(resource string) value.Transformer {
	all := encryptionconfig.StaticTransformers(c.config.Transformers)
	return all.TransformerForResource(schema.ParseGroupResource(resource))
}

// store turns the test value of a path into what etcd would hold, and checks that a KMS v2
// provider made it and that nothing of the plaintext shows.
func (c *client) store(resource, path string) ([]byte, error) {
	plain := plaintext(path)
	stored, err := c.transformer(resource).TransformToStorage(
		context.Background(), plain, value.DefaultContext(path))
	if err != nil {
		return nil, fmt.Errorf("storing %s: %w", path, err)
	}
	if !bytes.HasPrefix(stored, []byte(storedPrefix)) {
		return nil, fmt.Errorf("storing %s: the value is not one of a KMS v2 provider", path)
	}
	if bytes.Contains(stored, plain[len(plain)/2:]) {
		return nil, fmt.Errorf("storing %s: the stored value shows the plaintext", path)
	}
	return stored, nil
}

// read gives back a stored value and checks that it is the test value of its path.
func (c *client) read(resource, path string, stored []byte) (stale bool, err error) {
	plain, stale, err := c.transformer(resource).TransformFromStorage(
		context.Background(), stored, value.DefaultContext(path))
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", path, err)
	}
	if !bytes.Equal(plain, plaintext(path)) {
		return false, fmt.Errorf("reading %s: came back as something else", path)
	}
	return stale, nil
}

// plaintext is the test value of a path: it can be computed again by whoever reads it.
func plaintext(path string) []byte {
	text := []byte("k8s\x00test value of " + path + "\n")
	block := sha256.Sum256([]byte(path))
	for len(text) < plaintextBytes {
		text = fmt.Appendf(text, "%x\n", block)
		block = sha256.Sum256(block[:])
	}
	return text[:plaintextBytes]
}

func pathOf(resource string, n int) string {
	return fmt.Sprintf("/registry/%s/default/kms-client-%06d",
		schema.ParseGroupResource(resource).Resource, n)
}

// keyIDOf reads the key id (field 2) out of a stored KMS v2 value.
func keyIDOf(stored []byte) string {
	_, object, found := strings.Cut(strings.TrimPrefix(string(stored), storedPrefix), ":")
	if !found {
		return ""
	}
	for rest := []byte(object); len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return ""
		}
		rest = rest[n:]
		if number == 2 && kind == protowire.BytesType {
			id, _ := protowire.ConsumeBytes(rest)
			return string(id)
		}
		n = protowire.ConsumeFieldValue(number, kind, rest)
		if n < 0 {
			return ""
		}
		rest = rest[n:]
	}
	return ""
}

// calls counts what was sent to the plugin so far, by method and gRPC code, from the API server's
// own metric.
func calls() map[string]map[string]uint64 {
	counts := map[string]map[string]uint64{}
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return counts
	}
	for _, family := range families {
		if family.GetName() != "apiserver_envelope_encryption_kms_operations_latency_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			var method, code string
			for _, label := range metric.GetLabel() {
				switch label.GetName() {
				case "method_name":
					method = label.GetValue()[strings.LastIndex(label.GetValue(), "/")+1:]
				case "grpc_status_code":
					code = label.GetValue()
				}
			}
			if counts[method] == nil {
				counts[method] = map[string]uint64{}
			}
			counts[method][code] += metric.GetHistogram().GetSampleCount()
		}
	}
	return counts
}

// statusCalls is the number of Status calls so far, whatever their outcome.
func statusCalls() (n uint64) {
	for _, count := range calls()["Status"] {
		n += count
	}
	return n
}

// clockOffset moves what the API server's code takes for the time when it asks whether it may
// still write with its seed. The probe's memory of 20 s or 3 s does not follow it.
var clockOffset atomic.Int64

func shiftedNow() time.Time {
	return time.Now().Add(time.Duration(clockOffset.Load()))
}

// providerNames lists the KMS providers of a configuration file, sorted.
func providerNames(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var config struct {
		Resources []struct {
			Providers []struct {
				KMS *struct{ Name string }
			}
		}
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	names := []string{}
	for _, resource := range config.Resources {
		for _, provider := range resource.Providers {
			if provider.KMS != nil {
				names = append(names, provider.KMS.Name)
			}
		}
	}
	sort.Strings(names)
	return names, nil
}
