//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Carries Portolan's configuration.
#[derive(Debug, Parser)]
#[command(name = "portolan-operator", version)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look after a cluster: compile its objects, supply its gateways, tell in their status what became of them
    Run(Box<Run>),
    /// Print every CustomResourceDefinition, as YAML
    Crds,
    /// Compile a folder of manifests and tell what is wrong; exit code 1 when anything is refused
    Check {
        /// The folder
        folder: PathBuf,
    },
    /// Ask an operator whether it has seen its cluster; exit code 1 when it has not
    Ready {
        /// Its admin port
        #[arg(value_name = "HOST:PORT")]
        address: String,
    },
}

/// How to look after a cluster. The cluster itself is found as kubectl finds it, or by the pod's ServiceAccount.
#[derive(Debug, Clone, clap::Args)]
pub struct Run {
    /// Namespace to look after; may be given several times; by default all of them
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
    /// Where /healthz, /readyz and /metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub admin: SocketAddr,
    /// Image of the data plane; a gateway's spec.version takes the place of its tag
    #[arg(long, value_name = "IMAGE", default_value = concat!("portolan:", env!("CARGO_PKG_VERSION")))]
    pub image: String,
    /// When the image of the data plane is pulled
    #[arg(long, value_name = "POLICY", value_enum, default_value = "if-not-present")]
    pub image_pull_policy: PullPolicy,
    /// Namespace of the Lease by which one of several replicas leads; by default the one that the operator runs in
    #[arg(long, value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Name of that Lease
    #[arg(long, value_name = "NAME", default_value = "portolan-operator")]
    pub lease_name: String,
    /// What the process tells of itself on standard error: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PullPolicy {
    /// Each time that a pod starts
    Always,
    /// When the node does not have it
    IfNotPresent,
    /// Not at all
    Never,
}

impl PullPolicy {
    /// As the API writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}
