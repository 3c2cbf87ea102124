module portolan.dev/e2e/cluster/monitoring

go 1.25.0

// Only its files are used: the definitions of its kinds, in example/prometheus-operator-crd.
require github.com/prometheus-operator/prometheus-operator v0.85.0
