//! Programs of others that tests use with a cluster or beside it: helm, Prometheus, Argo CD. Each is built once from a
//! module that locks its version, and kept as the parts of the cluster are.

use std::path::{Path, PathBuf};

use super::tools::{self, Missing};
use crate::image::{self, Image};

/// A program of a module below `e2e/cluster`.
struct Program {
    name: &'static str,
    module: &'static str,
    package: &'static str,
    /// What else the binary is made of: files of the module.
    sources: &'static [&'static str],
    tags: &'static str,
    stamp: &'static str,
}

/// The chart's releases are made with it. It believes in Kubernetes 1.20 unless it is told.
const HELM: Program = Program {
    name: "helm",
    module: "tools",
    package: "helm.sh/helm/v3/cmd/helm",
    sources: &[],
    tags: "",
    stamp: concat!(
        "-s -w -X helm.sh/helm/v3/internal/version.version=v3.21.3",
        " -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34",
        " -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34"
    ),
};
const UNITTEST: Program = of_tools("untt", "github.com/helm-unittest/helm-unittest/cmd/helm-unittest");
const KUBECONFORM: Program = of_tools("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform");
const METRICS_SERVER: Program = of_tools("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server");
const LUA: Program = Program { sources: &["lua"], ..of_tools("lua", "./lua") };
const PROMTOOL: Program = of_prometheus("promtool", "github.com/prometheus/prometheus/cmd/promtool");
const PROMETHEUS: Program = of_prometheus("prometheus", "github.com/prometheus/prometheus/cmd/prometheus");
const PROMETHEUS_IMAGE: &str = "docker.io/portolan/prometheus:e2e";
const ARGOCD: Program = Program {
    name: "argocd",
    module: "argocd",
    package: ".",
    sources: &["main.go"],
    tags: "",
    stamp: "-s -w -X github.com/argoproj/argo-cd/v3/common.version=3.5.7",
};

const fn of_tools(name: &'static str, package: &'static str) -> Program {
    Program { name, module: "tools", package, sources: &[], tags: "", stamp: "-s -w" }
}

const fn of_prometheus(name: &'static str, package: &'static str) -> Program {
    // Of the ways to find targets that of Kubernetes is enough.
    Program { name, module: "prometheus", package, sources: &[], tags: "remove_all_sd,enable_kubernetes_sd", stamp: "-s -w" }
}

impl Program {
    fn built(&self) -> Result<PathBuf, Missing> {
        let cache = tools::cache()?;
        let _lock = tools::locked(&cache)?;
        let module = Path::new(tools::SOURCES).join(self.module);
        let within = |file: &&str| format!("{}/{file}", self.module);
        let sources: Vec<String> = ["go.mod", "go.sum"].iter().chain(self.sources).map(within).collect();
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        let more = format!("{} {} {}", self.package, self.tags, self.stamp);
        tools::once(&cache, self.name, &sources, &more, |out| {
            tools::go_of(&module, self.package, &["-tags", self.tags, "-ldflags", self.stamp], out)
        })
    }
}

/// helm.
///
/// # Errors
/// What this machine lacks to build it; so do those below.
pub fn helm() -> Result<PathBuf, Missing> {
    HELM.built()
}

/// helm-unittest: `untt unittest CHART`.
pub fn unittest() -> Result<PathBuf, Missing> {
    UNITTEST.built()
}

/// kubeconform.
pub fn kubeconform() -> Result<PathBuf, Missing> {
    KUBECONFORM.built()
}

/// metrics-server.
pub fn metrics_server() -> Result<PathBuf, Missing> {
    METRICS_SERVER.built()
}

/// A Lua that judges health as Argo CD's does: `lua SCRIPT`.
pub fn lua() -> Result<PathBuf, Missing> {
    LUA.built()
}

/// promtool.
pub fn promtool() -> Result<PathBuf, Missing> {
    PROMTOOL.built()
}

/// Prometheus.
pub fn prometheus() -> Result<PathBuf, Missing> {
    PROMETHEUS.built()
}

/// Its image.
pub(crate) fn prometheus_image() -> Result<Image, Missing> {
    let binary = prometheus()?;
    let cache = tools::cache()?;
    let _lock = tools::locked(&cache)?;
    let digest = binary.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let archive = tools::once(&cache, "prometheus-image", &[], &digest, |out| {
        image::archive_of_one(PROMETHEUS_IMAGE, &binary, "/prometheus", out);
        Ok(())
    })?;
    Ok(Image { name: PROMETHEUS_IMAGE.to_owned(), archive })
}

/// The parts of Argo CD that reconcile, chosen by the name that the program is started with.
pub fn argocd() -> Result<PathBuf, Missing> {
    ARGOCD.built()
}

/// Where the sources of a module are that `go.mod` of this folder below `e2e/cluster` locks; `.` is that of Kubernetes.
///
/// # Errors
/// There is no Go, or the module cannot be had.
pub fn sources_of(folder: &str, module: &str) -> Result<PathBuf, Missing> {
    let home = Path::new(tools::SOURCES).join(folder);
    let mut download = tools::go_command(&home)?;
    download.args(["mod", "download", module]);
    let mut list = tools::go_command(&home)?;
    list.args(["list", "-m", "-f", "{{.Dir}}", module]);
    let found = super::run(download, "").and_then(|_| super::run(list, ""));
    found.map(|path| PathBuf::from(path.trim())).map_err(|said| Missing(format!("the module {module}: {said}")))
}
