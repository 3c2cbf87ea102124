//! The only reader of flags and of the environment.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use snapshot::{GatewayId, Secret};

use crate::http::tls::CertificateFiles;
use crate::source::{ApiServer, Places, Wanted};
use crate::telemetry::log::Target;

/// An AI gateway that serves OpenAI- and Anthropic-compatible traffic from Kubernetes manifests.
#[derive(Debug, Parser)]
#[command(name = "portolan-gateway", version)]
#[command(group(ArgGroup::new("source").required(true).multiple(true).args(["manifests", "snapshot_dir", "watch_api"])))]
struct Args {
    /// Folder of manifests (YAML or JSON) to serve and to watch
    #[arg(long, value_name = "DIR", conflicts_with_all = ["snapshot_dir", "watch_api"])]
    manifests: Option<PathBuf>,
    /// Volume with the bundle of an operator to serve and to watch: one file for each object, named as the object
    #[arg(long, value_name = "DIR", requires = "gateway")]
    snapshot_dir: Option<PathBuf>,
    /// Folder that outlives the container, for the bundle that was served last
    #[arg(long, value_name = "DIR", conflicts_with = "manifests")]
    last_good_dir: Option<PathBuf>,
    /// Follow the bundle in the API server of the cluster that the pod runs in
    #[arg(long, requires = "gateway")]
    watch_api: bool,
    /// Folder with the account's `token` and `ca.crt` for the API server
    #[arg(long, value_name = "DIR", default_value = "/var/run/secrets/kubernetes.io/serviceaccount")]
    service_account_dir: PathBuf,
    /// The LLMGateway to be, as NAMESPACE/NAME; with --manifests needed only when the folder holds several
    #[arg(long, value_name = "NAMESPACE/NAME")]
    gateway: Option<String>,
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where /healthz, /readyz, /metrics and /internal/config are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
    /// Cores to use; by default as many as the CPU quota gives
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    cores: Option<u16>,
    /// Environment variable that manifests may name as ${NAME}; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with_all = ["snapshot_dir", "watch_api"])]
    env: Vec<String>,
    /// Certificate chain in PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Certificates in PEM that are trusted at every provider besides the platform's
    #[arg(long, value_name = "FILE")]
    extra_ca: Option<PathBuf>,
    /// Where receipts go: `-` (standard output), `stderr`, `off` or a file
    #[arg(long, value_name = "TARGET", default_value = "-")]
    access_log: String,
    /// What the process tells of itself: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["error", "warn", "info", "debug"])]
    log_level: String,
    /// Write the addresses in use to this file, as JSON, once they are bound
    #[arg(long, value_name = "FILE")]
    print_ports: Option<PathBuf>,
    /// Connections of clients at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_connections: usize,
    /// Calls in flight at most
    #[arg(long, value_name = "N", default_value_t = 4096)]
    max_calls: u32,
    /// Bytes of request bodies and of large answers kept at most; by default a quarter of the memory limit
    #[arg(long, value_name = "BYTES")]
    body_memory: Option<u64>,
    /// Folder for forms with files in them while they are sent on: what is beyond their first 64 KiB goes there, into files
    /// without a name; by default PORTOLAN_SPOOL_DIR of the environment, else all of a form is kept in memory
    #[arg(long, value_name = "DIR")]
    spool_dir: Option<PathBuf>,
    /// Bytes in that folder at most, half of them for one key
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    spool_bytes: u64,
    /// File with the keys that ids of files and the like are sealed with, the same for all replicas of a gateway: lines of 64
    /// hex digits, of which the first seals and each opens; by default PORTOLAN_SEAL_FILE of the environment. With --manifests
    /// it is made when it is not there
    #[arg(long, value_name = "FILE")]
    seal_file: Option<PathBuf>,
    /// Seconds for the head of a request, and for the next request on an idle connection
    #[arg(long, value_name = "SECONDS", default_value_t = 75, value_parser = clap::value_parser!(u64).range(1..=3600))]
    header_timeout_seconds: u64,
    /// Seconds to wait for the next piece of a request's body
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    body_idle_timeout_seconds: u64,
}

/// Flags and environment, understood.
#[derive(Debug)]
pub struct Settings {
    /// Where the configuration comes from.
    pub source: Wanted,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where the admin port is.
    pub admin: SocketAddr,
    /// Cores to use.
    pub cores: u16,
    /// The gateway's own certificate.
    pub tls: Option<CertificateFiles>,
    /// Trusted besides the platform's roots, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Where receipts go.
    pub access_log: Target,
    /// Level of the process's own log.
    pub log_level: String,
    /// Where to write the addresses in use.
    pub print_ports: Option<PathBuf>,
    /// Connections at most.
    pub connections_max: usize,
    /// Calls in flight at most.
    pub calls_max: u32,
    /// Bytes of bodies at most.
    pub body_memory_bytes: u64,
    /// Where forms are spooled.
    pub spool_dir: Option<PathBuf>,
    /// Bytes of them at most.
    pub spool_bytes: u64,
    /// The keys of the seal.
    pub seal_file: Option<PathBuf>,
    /// For the head of a request.
    pub header_timeout: Duration,
    /// For the next piece of a body.
    pub body_idle_timeout: Duration,
}

/// Why the flags cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// clap's own words, `--help` and `--version` among them.
    #[error(transparent)]
    Flags(#[from] clap::Error),
    /// `--gateway`.
    #[error("--gateway: {0}")]
    Gateway(snapshot::IdError),
    /// `--env`.
    #[error("--env {name}: the environment has no such variable; set it, or leave the flag out")]
    Unset {
        /// Which.
        name: String,
    },
    /// `--watch-api`.
    #[error("--watch-api: the environment has no usable KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; it works in a pod alone")]
    NoCluster,
    /// `--extra-ca`.
    #[error("--extra-ca {path}: {source}")]
    ExtraCa {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Settings {
    /// Reads the command line and what it allows of the environment.
    ///
    /// # Errors
    /// See [`ArgsError`].
    pub fn read() -> Result<Self, ArgsError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        Self::parse(std::env::args_os(), |name| std::env::var(name).ok())
    }

    fn parse(line: impl IntoIterator<Item = OsString>, env: impl Fn(&str) -> Option<String>) -> Result<Self, ArgsError> {
        let mut args = Args::try_parse_from(line)?;
        let spool_dir = args.spool_dir.take().or_else(|| env("PORTOLAN_SPOOL_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from));
        let seal_file = args.seal_file.take().or_else(|| env("PORTOLAN_SEAL_FILE").filter(|file| !file.is_empty()).map(PathBuf::from));
        let source = args.source(env)?;
        let extra_ca = args.extra_ca.map(|path| std::fs::read(&path).map_err(|source| ArgsError::ExtraCa { path, source }));
        Ok(Self {
            source,
            listen: args.listen,
            admin: args.admin,
            cores: args.cores.unwrap_or_else(cpu_quota),
            tls: args.tls_cert.zip(args.tls_key).map(|(certificate, key)| CertificateFiles { certificate, key }),
            extra_ca_pem: extra_ca.transpose()?,
            access_log: match args.access_log.as_str() {
                "-" => Target::Stdout,
                "stderr" => Target::Stderr,
                "off" => Target::Off,
                path => Target::File(path.into()),
            },
            log_level: args.log_level,
            print_ports: args.print_ports,
            connections_max: args.max_connections,
            calls_max: args.max_calls,
            body_memory_bytes: args.body_memory.unwrap_or_else(|| memory_limit() / 4),
            spool_dir,
            spool_bytes: args.spool_bytes,
            seal_file,
            header_timeout: Duration::from_secs(args.header_timeout_seconds),
            body_idle_timeout: Duration::from_secs(args.body_idle_timeout_seconds),
        })
    }
}

impl Args {
    fn source(&mut self, env: impl Fn(&str) -> Option<String>) -> Result<Wanted, ArgsError> {
        let gateway = self.gateway.take().map(GatewayId::try_from).transpose().map_err(ArgsError::Gateway)?;
        if let Some(folder) = self.manifests.take() {
            let named = self.env.drain(..).map(|name| match env(&name) {
                Some(value) => Ok((name, Secret::new(value))),
                None => Err(ArgsError::Unset { name }),
            });
            return Ok(Wanted::Manifests { folder, env: named.collect::<Result<_, _>>()?, gateway });
        }
        let Some(gateway) = gateway else {
            return Err(clap::Error::raw(clap::error::ErrorKind::MissingRequiredArgument, "--gateway NAMESPACE/NAME is missing\n").into());
        };
        let server = || {
            let host = env("KUBERNETES_SERVICE_HOST").filter(|host| !host.is_empty())?;
            let port = env("KUBERNETES_SERVICE_PORT")?.parse().ok()?;
            Some(ApiServer { host, port, account: self.service_account_dir.clone() })
        };
        let api = if self.watch_api { Some(server().ok_or(ArgsError::NoCluster)?) } else { None };
        Ok(Wanted::Bundle(Places { gateway, volume: self.snapshot_dir.take(), last_good: self.last_good_dir.take(), api }))
    }
}

/// The CPU quota of the control group, rounded up, or what the machine offers.
fn cpu_quota() -> u16 {
    let offered = std::thread::available_parallelism().map_or(1, usize::from);
    let quota = std::fs::read_to_string("/sys/fs/cgroup/cpu.max").ok().and_then(|text| quota_of(&text));
    u16::try_from(quota.map_or(offered, |quota| quota.min(offered))).unwrap_or(1).max(1)
}

/// `max 100000` or `150000 100000`.
fn quota_of(text: &str) -> Option<usize> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<usize>().ok()?.div_ceil(period.parse::<usize>().ok().filter(|period| *period > 0)?))
}

/// The memory limit of the control group, or the machine's memory; at least 64 MiB.
fn memory_limit() -> u64 {
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let machine = || {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    limit.or_else(machine).unwrap_or(1 << 30).max(64 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Settings, ArgsError> {
        let words = std::iter::once("portolan-gateway").chain(line.split_whitespace()).map(OsString::from);
        Settings::parse(words, |name| (name == "OPENAI_API_KEY").then(|| "sk-x".to_owned()))
    }

    #[test]
    fn a_named_variable_is_read_and_a_missing_one_is_an_error_that_names_it() {
        let settings = parse("--manifests d --env OPENAI_API_KEY").expect("settings");
        let Wanted::Manifests { env, .. } = &settings.source else { panic!("a folder") };
        assert_eq!(env.keys().collect::<Vec<_>>(), ["OPENAI_API_KEY"]);
        assert!(!format!("{settings:?}").contains("sk-x"), "a value is never printed");
        let error = parse("--manifests d --env OTHER").expect_err("no such variable").to_string();
        assert!(error.contains("OTHER"), "{error}");
    }

    #[test]
    fn each_wrong_flag_is_refused() {
        for line in [
            "",
            "--manifests d --cores 0",
            "--manifests d --listen nowhere",
            "--manifests d --tls-cert c",
            "--manifests d --gateway A/b",
            "--manifests d --snapshot-dir s --gateway a/b",
            "--manifests d --watch-api --gateway a/b",
            "--manifests d --last-good-dir l",
            "--snapshot-dir s",
            "--snapshot-dir s --gateway b",
            "--snapshot-dir s --gateway a/b --env OPENAI_API_KEY",
            "--last-good-dir l --gateway a/b",
            "--gateway a/b",
            "--manifests d --extra-ca /no/such/file",
            "--manifests d --log-level verbose",
            "--manifests d --log-level h2=trace",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_bundle_is_looked_for_where_the_flags_say() {
        let settings = parse("--snapshot-dir s --last-good-dir l --gateway a/b").expect("settings");
        let Wanted::Bundle(places) = settings.source else { panic!("a bundle") };
        assert_eq!((places.volume, places.last_good), (Some("s".into()), Some("l".into())));
        assert_eq!(places.gateway.as_str(), "a/b");
        assert!(places.api.is_none(), "no API server is asked unless a flag says so");
    }

    #[test]
    fn the_api_server_is_found_by_the_environment_of_a_pod() {
        let watching = |env: &'static [(&str, &str)]| {
            let words = ["portolan-gateway", "--watch-api", "--gateway", "a/b"].map(OsString::from);
            let found = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Settings::parse(words, found).map(|settings| match settings.source {
                Wanted::Bundle(places) => places.api.map(|api| (api.host, api.port)),
                Wanted::Manifests { .. } => None,
            })
        };
        let server = watching(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")]).expect("settings");
        assert_eq!(server, Some(("10.0.0.1".to_owned(), 443)));
        assert!(matches!(watching(&[]), Err(ArgsError::NoCluster)));
        assert!(matches!(
            watching(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "tcp")]),
            Err(ArgsError::NoCluster)
        ));
    }

    #[test]
    fn a_quota_is_rounded_up() {
        assert_eq!(quota_of("150000 100000\n"), Some(2));
        assert_eq!(quota_of("max 100000"), None);
        assert_eq!(quota_of("100000 0"), None);
    }
}
