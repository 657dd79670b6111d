// Package flags knows which command line flags each release of etcd has. Like
// a table in a book, it looks at nothing.
package flags

import (
	"slices"
	"strings"
)

// releases are those that the table has, made from 3.4.23, 3.5.35, 3.6.16 and
// 3.7.3.
var releases = []string{"3.4", "3.5", "3.6", "3.7"}

// Releases lists the minor releases that are known, oldest first.
func Releases() []string { return slices.Clone(releases) }

// Of lists the flags of a minor release, sorted; nil if the release is not
// known.
func Of(release string) []string {
	if !slices.Contains(releases, release) {
		return nil
	}
	var list []string
	for in, names := range table() {
		if slices.Contains(strings.Fields(in), release) {
			list = append(list, strings.Fields(names)...)
		}
	}
	slices.Sort(list)
	return list
}

// Release is the minor release of a version: "3.6" of "v3.6.16-amd64". ok is
// false if it cannot be told, or is not in the table.
func Release(version string) (release string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 {
		return "", false
	}
	release = parts[0] + "." + strings.TrimRight(strings.SplitN(parts[1], "-", 2)[0], " ")
	return release, slices.Contains(releases, release)
}

// Has reports whether a release knows a flag. Of a release that is not in the
// table it says yes.
func Has(release, flag string) bool {
	of := Of(release)
	return of == nil || slices.Contains(of, flag) || release == "3.4" && slices.Contains(later, flag)
}

// later are flags of 3.4 that came in patch releases after 3.4.23.
var later = []string{"next-cluster-version-compatible", "tls-max-version", "tls-min-version"}

// Advice says of a flag that the release does not know what to do, as a
// sentence.
func Advice(release, flag string) string {
	bare, experimental := strings.CutPrefix(flag, "experimental-")
	if experimental && Has(release, bare) {
		return "Write --" + bare + ": it is experimental no longer."
	}
	if gate := gates()[bare]; experimental && gate != "" && Has(release, "feature-gates") {
		return "Write --feature-gates=" + gate + "=true."
	}
	if Has(release, "experimental-"+flag) {
		return "Write --experimental-" + flag + ": in " + release + " it still is experimental."
	}
	var known []string
	for _, r := range releases {
		if Has(r, flag) {
			known = append(known, r)
		}
	}
	switch {
	case len(known) == 0:
		return "No release of etcd from " + releases[0] + " on has it; take it out."
	case known[0] > release:
		return "It came with " + known[0] + "; take it out, or run that release."
	}
	return known[len(known)-1] + " was the last release that had it; take it out."
}

// gates are the feature gates that took the place of experimental flags.
func gates() map[string]string {
	return map[string]string{
		"stop-grpc-service-on-defrag":       "StopGRPCServiceOnDefrag",
		"initial-corrupt-check":             "InitialCorruptCheck",
		"compact-hash-check-enabled":        "CompactHashCheck",
		"txn-mode-write-with-shared-buffer": "TxnModeWriteWithSharedBuffer",
		"enable-lease-checkpoint":           "LeaseCheckpoint",
		"enable-lease-checkpoint-persist":   "LeaseCheckpointPersist",
	}
}

// table holds the flags by the releases that have them. What the help text of
// 3.7 still lists and the program refuses (discovery, discovery-proxy) is not
// among those of 3.7.
func table() map[string]string {
	return map[string]string{
		"3.4 3.5 3.6 3.7": `
			advertise-client-urls auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention auto-tls
			backend-batch-interval backend-batch-limit bcrypt-cost cert-file cipher-suites client-cert-allowed-hostname
			client-cert-auth client-crl-file config-file cors data-dir discovery-fallback discovery-srv discovery-srv-name
			election-timeout enable-grpc-gateway enable-pprof force-new-cluster grpc-keepalive-interval grpc-keepalive-min-time
			grpc-keepalive-timeout heartbeat-interval host-whitelist initial-advertise-peer-urls initial-cluster
			initial-cluster-state initial-cluster-token initial-election-tick-advance key-file listen-client-urls
			listen-metrics-urls listen-peer-urls log-level log-outputs logger max-concurrent-streams max-request-bytes
			max-snapshots max-txn-ops max-wals metrics name peer-auto-tls peer-cert-allowed-cn peer-cert-allowed-hostname
			peer-cert-file peer-client-cert-auth peer-crl-file peer-key-file peer-trusted-ca-file pre-vote quota-backend-bytes
			snapshot-count strict-reconfig-check trusted-ca-file unsafe-no-fsync wal-dir`,
		"3.4 3.5 3.6": `
			discovery discovery-proxy experimental-compaction-batch-limit experimental-corrupt-check-time
			experimental-enable-lease-checkpoint experimental-enable-lease-checkpoint-persist
			experimental-initial-corrupt-check experimental-peer-skip-client-san-verification
			experimental-warning-apply-duration experimental-watch-progress-notify-interval`,
		"3.5 3.6 3.7": `
			backend-bbolt-freelist-type client-cert-file client-key-file enable-log-rotation listen-client-http-urls
			log-rotation-config-json peer-client-cert-file peer-client-key-file raft-read-timeout raft-write-timeout
			self-signed-cert-validity socket-reuse-address socket-reuse-port tls-max-version tls-min-version v2-deprecation`,
		"3.4 3.5": `
			enable-v2 experimental-enable-v2v3 proxy proxy-dial-timeout proxy-failure-wait proxy-read-timeout
			proxy-refresh-interval proxy-write-timeout`,
		"3.5 3.6": `
			experimental-bootstrap-defrag-threshold-megabytes experimental-compact-hash-check-enabled
			experimental-compact-hash-check-time experimental-compaction-sleep-interval
			experimental-distributed-tracing-address experimental-distributed-tracing-instance-id
			experimental-distributed-tracing-sampling-rate experimental-distributed-tracing-service-name
			experimental-downgrade-check-time experimental-enable-distributed-tracing experimental-memory-mlock
			experimental-snapshot-catchup-entries experimental-stop-grpc-service-on-defrag
			experimental-txn-mode-write-with-shared-buffer`,
		"3.6 3.7": `
			bootstrap-defrag-threshold-megabytes compact-hash-check-time compaction-batch-limit compaction-sleep-interval
			corrupt-check-time discovery-cacert discovery-cert discovery-dial-timeout discovery-endpoints
			discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time
			discovery-keepalive-timeout discovery-key discovery-password discovery-request-timeout discovery-token
			discovery-user distributed-tracing-address distributed-tracing-instance-id distributed-tracing-sampling-rate
			distributed-tracing-service-name downgrade-check-time enable-distributed-tracing feature-gates log-format
			max-learners memory-mlock peer-skip-client-san-verification snapshot-catchup-entries warning-apply-duration
			warning-unary-request-duration watch-progress-notify-interval`,
		"3.4": `
			debug experimental-backend-bbolt-freelist-type log-output log-package-levels`,
		"3.6": `
			experimental-warning-unary-request-duration`,
	}
}
