//! What is measured, row by row, and the rounds: in each, every row is measured at the relay and at the gateway, one
//! right after the other, so that both had the same neighbours on the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

use crate::answers::{Script, request};
use crate::figures::{Compared, Figure};
use crate::gateway::{Gateway, Wanted, model};
use crate::plan::{Plan, Seen, Speech};
use crate::process::{Core, Process};
use crate::report::{Report, Validity};
use crate::{Asked, Outcome, certificate, memory, now};

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Row {
    /// 1 KB, 10 keys
    Small,
    /// 1 KB, 10,000 keys
    SmallKeys,
    /// 34 KB, 10 keys
    Large,
    /// 34 KB, 10,000 keys
    LargeKeys,
    /// 1 KB of OpenAI's dialect to Anthropic and back
    Translated,
    /// 1 KB at a fixed rate
    Latency,
    /// 64 streams at once, a chunk every 5 ms
    Stream,
    /// The same from Anthropic's events
    TranslatedStream,
    /// Streams at a fixed rate: the first event
    FirstToken,
    /// 1 KB over TLS and HTTP/2 on both legs
    TlsHttp2,
    /// 1 KB, 2 cores, one connection of HTTP/2
    TwoCores,
    /// Resident memory
    Memory,
}

/// Chunks of a stream long enough that its head does not count, and the time from one to the next.
const STREAM: Script = Script::Stream(200, Duration::from_millis(5));
/// A stream of which only the beginning counts.
const SHORT_STREAM: Script = Script::Stream(8, Duration::from_millis(2));
/// A stream that stays open while memory is looked at.
pub const LONG_STREAM: Script = Script::Stream(60, Duration::from_millis(100));
/// The same as [`STREAM`] and [`LONG_STREAM`], in Anthropic's events.
const MESSAGE_STREAM: Script = Script::MessageStream(200, Duration::from_millis(5));
pub const LONG_MESSAGE_STREAM: Script = Script::MessageStream(60, Duration::from_millis(100));
const SCRIPTS: [Script; 7] = [Script::Json, Script::Messages, STREAM, SHORT_STREAM, LONG_STREAM, MESSAGE_STREAM, LONG_MESSAGE_STREAM];

/// Gateways differ by what cannot be changed while they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    TenKeys,
    ManyKeys,
    Tls,
    TwoCores,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// The upstream itself, to see that it and the load are fast enough.
    Upstream,
    /// A relay that others made, to see that ours is no straw man.
    Floor,
    Relay,
    Gateway,
}

/// How a row is measured.
struct Course {
    kind: Kind,
    script: Script,
    body: usize,
    speech: Speech,
    connections: u32,
    at_once: u32,
    per_second: Option<u32>,
}

impl Row {
    /// How it is measured; memory is another matter.
    fn course(self, rate: u32, tls: &Path) -> Option<Course> {
        let small = Course {
            kind: Kind::TenKeys,
            script: Script::Json,
            body: 1024,
            speech: Speech::Http1,
            connections: 64,
            at_once: 1,
            per_second: None,
        };
        Some(match self {
            Self::Small => small,
            Self::SmallKeys => Course { kind: Kind::ManyKeys, ..small },
            Self::Large => Course { body: 34 << 10, connections: 16, ..small },
            Self::LargeKeys => Course { kind: Kind::ManyKeys, body: 34 << 10, connections: 16, ..small },
            Self::Translated => Course { script: Script::Messages, ..small },
            Self::Latency => Course { connections: 16, per_second: Some(rate), ..small },
            Self::Stream => Course { script: STREAM, ..small },
            Self::TranslatedStream => Course { script: MESSAGE_STREAM, ..small },
            Self::FirstToken => Course { script: SHORT_STREAM, connections: 16, per_second: Some(rate / 2), ..small },
            Self::TlsHttp2 => Course { kind: Kind::Tls, speech: Speech::TlsHttp2(tls.to_owned()), connections: 4, at_once: 16, ..small },
            Self::TwoCores => Course { kind: Kind::TwoCores, speech: Speech::Http2, connections: 1, at_once: 64, ..small },
            Self::Memory => return None,
        })
    }

    /// How it is named in the table.
    fn title(self) -> &'static str {
        match self {
            Self::Small => "1 KB, 10 keys",
            Self::SmallKeys => "1 KB, 10,000 keys",
            Self::Large => "34 KB, 10 keys",
            Self::LargeKeys => "34 KB, 10,000 keys",
            Self::Translated => "1 KB, translated",
            Self::Latency => "fixed rate",
            Self::Stream => "64 streams",
            Self::TranslatedStream => "64 streams, translated",
            Self::FirstToken => "streams at a fixed rate",
            Self::TlsHttp2 => "1 KB, TLS + HTTP/2 on both legs",
            Self::TwoCores => "1 KB, 2 cores, one HTTP/2 connection",
            Self::Memory => "memory",
        }
    }
}

/// What one measurement gave.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// CPU of the subject for each call, or each event of a stream, in microseconds; 0 for the upstream itself.
    pub cpu: f64,
    /// Cores that the subject kept busy.
    pub busy: f64,
    /// Calls or events a second.
    pub rate: f64,
    /// What the load saw.
    pub seen: Seen,
}

/// All that runs while it is measured.
pub struct Ground {
    /// The folder of the run.
    pub folder: TempDir,
    /// The gateway's binary.
    pub binary: PathBuf,
    /// Where what is measured runs.
    pub subject: Core,
    /// Where all else runs.
    pub rest: Core,
    /// The scripted upstream.
    pub upstream: Process,
    /// The relay.
    pub relay: Process,
    upstream_tls: Option<Process>,
    relay_tls: Option<Process>,
    floor: Option<Process>,
    gateways: BTreeMap<Kind, Gateway>,
}

impl Ground {
    fn prepare(asked: &Asked, rows: &[Row]) -> Outcome<Self> {
        let folder = TempDir::new()?;
        certificate::make(folder.path())?;
        let (subject, rest) = if asked.pin { (Core::Only(0), Core::Only(1)) } else { (Core::Any, Core::Any) };
        let upstream = Process::part(rest, &["upstream"])?;
        let to = upstream.address.to_string();
        let relay = Process::part(subject, &["relay", "--upstream", &to])?;
        let mut ground = Self {
            binary: asked.gateway.clone().map_or_else(|| Ok(std::env::current_exe()?.with_file_name("portolan-gateway")), Outcome::Ok)?,
            floor: std::env::var_os("PORTOLAN_FLOOR").map(|floor| start_floor(subject, Path::new(&floor), &to)).transpose()?,
            folder,
            subject,
            rest,
            upstream,
            relay,
            upstream_tls: None,
            relay_tls: None,
            gateways: BTreeMap::new(),
        };
        if rows.contains(&Row::TlsHttp2) {
            let tls = ground.folder.path().display().to_string();
            let upstream = Process::part(rest, &["upstream", "--tls", &tls])?;
            ground.relay_tls = Some(Process::part(subject, &["relay", "--upstream", &upstream.address.to_string(), "--tls", &tls])?);
            ground.upstream_tls = Some(upstream);
        }
        for row in rows {
            if let Some(course) = row.course(asked.rate, ground.folder.path())
                && !ground.gateways.contains_key(&course.kind)
            {
                let gateway = ground.start(course.kind)?;
                ground.gateways.insert(course.kind, gateway);
            }
        }
        Ok(ground)
    }

    fn start(&self, kind: Kind) -> Outcome<Gateway> {
        let (name, keys, cores, tls) = match kind {
            Kind::TenKeys => ("ten-keys", 10, 1, false),
            Kind::ManyKeys => ("many-keys", 10_000, 1, false),
            Kind::Tls => ("tls", 10, 1, true),
            Kind::TwoCores => ("two-cores", 10, 2, false),
        };
        let core = if kind == Kind::TwoCores { Core::Any } else { self.subject };
        self.gateway(name, keys, cores, tls, core)
    }

    /// Starts a gateway with a folder of this name.
    pub fn gateway(&self, name: &str, keys: u32, cores: u16, tls: bool, core: Core) -> Outcome<Gateway> {
        let upstream = if tls { self.upstream_tls.as_ref().unwrap_or(&self.upstream) } else { &self.upstream };
        let (binary, folder) = (self.binary.as_path(), self.folder.path());
        Gateway::start(&Wanted { binary, folder, name, keys, cores, upstream: upstream.address, tls, core }, &SCRIPTS)
    }

    /// A plan for the gateway, or for who knows scripts by their path.
    pub fn plan(&self, script: Script, bytes: usize, gateway: Option<&Gateway>, keys: &Path) -> Outcome<Plan> {
        let stream = script.is_stream();
        let body = self.folder.path().join(format!("body-{}-{bytes}", script.segment()));
        std::fs::write(&body, request(&model(script), bytes, stream))?;
        let prefix = if gateway.is_some() { String::new() } else { format!("/{}", script.segment()) };
        Ok(Plan {
            address: gateway.map_or(self.relay.address, |gateway| gateway.process.address),
            path: format!("{prefix}/v1/chat/completions"),
            body,
            keys: keys.to_owned(),
            speech: Speech::Http1,
            connections: 1,
            at_once: 1,
            per_second: None,
            seconds: 1.0,
        })
    }

    fn measure(&self, course: &Course, subject: Subject, seconds: f64) -> Outcome<Sample> {
        let gateway = self.gateways.get(&course.kind).ok_or("the gateway is not started")?;
        let tls = course.kind == Kind::Tls;
        let (process, core) = match subject {
            Subject::Upstream => (&self.upstream, self.subject),
            Subject::Floor => (self.floor.as_ref().ok_or("no floor")?, self.rest),
            Subject::Relay => (if tls { self.relay_tls.as_ref().ok_or("no relay with TLS")? } else { &self.relay }, self.rest),
            Subject::Gateway => (&gateway.process, self.rest),
        };
        let mut plan = self.plan(course.script, course.body, (subject == Subject::Gateway).then_some(gateway), &gateway.keys)?;
        plan.address = process.address;
        plan.speech = match (&course.speech, subject) {
            // The relay without TLS speaks HTTP/1.1 alone: the row's base is the relay at its best.
            (Speech::Http2, Subject::Relay) => Speech::Http1,
            (speech, _) => speech.clone(),
        };
        let http1 = matches!(plan.speech, Speech::Http1);
        (plan.connections, plan.at_once) =
            if http1 { (course.connections * course.at_once, 1) } else { (course.connections, course.at_once) };
        plan.per_second = course.per_second;
        plan.seconds = seconds;
        let (before, began) = (process.cpu()?, now());
        let seen = load(core, &plan)?;
        let (cpu, wall) = (process.cpu()? - before, began.elapsed());
        if subject == Subject::Gateway {
            gateway.forget_receipts()?;
        }
        let units = if course.script.is_stream() { seen.events } else { seen.answered };
        let cpu_us = if subject == Subject::Upstream { 0.0 } else { cpu.as_secs_f64() * 1e6 };
        Ok(Sample {
            cpu: cpu_us / units.max(1) as f64,
            busy: cpu.as_secs_f64() / wall.as_secs_f64(),
            rate: units as f64 / seen.seconds,
            seen,
        })
    }
}

/// Runs the load generator.
pub fn load(core: Core, plan: &Plan) -> Outcome<Seen> {
    let mut command = core.command(&std::env::current_exe()?);
    let output = command.arg("load").arg(serde_json::to_string(plan)?).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the load ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn start_floor(core: Core, binary: &Path, upstream: &str) -> Outcome<Process> {
    // It takes a port and tells none: one that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = core.command(binary);
    command.args(["--upstream", upstream, "--port", &address.port().to_string()]);
    Process::program(command, || std::net::TcpStream::connect(address).is_ok().then_some(address))
}

/// Measures what was asked for and prints it.
pub fn run(asked: &Asked) -> Outcome<()> {
    let mut rows = if asked.rows.is_empty() { Row::value_variants().to_vec() } else { asked.rows.clone() };
    rows.sort_unstable();
    rows.dedup();
    let ground = Ground::prepare(asked, &rows)?;
    let courses: Vec<(Row, Course)> = rows.iter().filter_map(|row| Some((*row, row.course(asked.rate, ground.folder.path())?))).collect();
    let mut samples = Samples::default();
    for round in 0..=asked.rounds {
        for (row, course) in &courses {
            let mut subjects = vec![Subject::Relay, Subject::Gateway];
            if *row == Row::Small {
                subjects.extend([Subject::Floor, Subject::Upstream]);
            }
            if round % 2 == 1 {
                subjects.reverse();
            }
            for subject in subjects.into_iter().filter(|subject| *subject != Subject::Floor || ground.floor.is_some()) {
                // Round 0 warms up: connections, allocators, branch predictors.
                let seconds = if round == 0 { asked.seconds.min(0.5) } else { asked.seconds };
                let sample = ground.measure(course, subject, seconds).map_err(|error| format!("{}, {subject:?}: {error}", row.title()))?;
                samples.take(round, *row, subject, sample);
            }
        }
    }
    let mut figures = samples.figures(asked.rate);
    if rows.contains(&Row::Memory) {
        figures.extend(memory::figures(&ground, asked)?);
    }
    let dropped = ground.gateways.values().map(Gateway::receipts_dropped).sum::<Outcome<u64>>()?;
    let report = Report { figures, validity: samples.validity(dropped) };
    println!("{report}");
    if let Some(path) = &asked.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report.json(asked))?)?;
    }
    Ok(())
}

/// All samples, by row and subject, each with one of every round.
#[derive(Default)]
struct Samples(Vec<(Row, Subject, Vec<Sample>)>);

impl Samples {
    fn take(&mut self, round: u32, row: Row, subject: Subject, sample: Sample) {
        let Sample { cpu, busy, rate, seen } = &sample;
        eprintln!(
            "round {round}: {}, {subject:?}: {cpu:.1} us, {rate:.0}/s, {busy:.2} cores, p50 {:.0} us, p99 {:.0} us, first {:.0} us{}",
            row.title(),
            seen.call.p50,
            seen.call.p99,
            seen.first.p50,
            if seen.failed == 0 { String::new() } else { format!(", {} FAILED: {}", seen.failed, seen.last_failure) },
        );
        if round == 0 {
            return;
        }
        match self.0.iter_mut().find(|(its, whose, _)| (*its, *whose) == (row, subject)) {
            Some((_, _, samples)) => samples.push(sample),
            None => self.0.push((row, subject, vec![sample])),
        }
    }

    fn of(&self, row: Row, subject: Subject, value: impl Fn(&Sample) -> f64) -> Vec<f64> {
        let found = self.0.iter().find(|(its, whose, _)| (*its, *whose) == (row, subject));
        found.map(|(_, _, samples)| samples.iter().map(value).collect()).unwrap_or_default()
    }

    fn figures(&self, rate: u32) -> Vec<Figure> {
        const CPU: &str = "CPU per request";
        let mut figures = Vec::new();
        let mut add = |row: Row, what: String, unit, value: fn(&Sample) -> f64, compared, goal| {
            let (base, ours) = (self.of(row, Subject::Relay, value), self.of(row, Subject::Gateway, value));
            if !ours.is_empty() {
                figures.push(Figure { name: format!("{}: {what}", row.title()), unit, base_name: "relay", base, ours, compared, goal });
            }
        };
        for (row, goal) in [
            (Row::Small, Some(1.8)),
            (Row::SmallKeys, Some(1.8)),
            (Row::Large, Some(2.0)),
            (Row::LargeKeys, Some(2.0)),
            (Row::Translated, Some(2.5)),
            (Row::TlsHttp2, None),
            (Row::TwoCores, None),
        ] {
            add(row, CPU.to_owned(), "us", |sample| sample.cpu, Compared::Ratio, goal);
            add(row, "requests per second".to_owned(), "/s", |sample| sample.rate, Compared::Ratio, None);
            add(row, "requests per second of CPU".to_owned(), "/s", |sample| 1e6 / sample.cpu, Compared::Ratio, None);
            add(row, "cores kept busy".to_owned(), "", |sample| sample.busy, Compared::Ratio, None);
        }
        add(Row::Latency, format!("{rate}/s, p50"), "us", |sample| sample.seen.call.p50, Compared::Difference, None);
        add(Row::Latency, format!("{rate}/s, p99"), "us", |sample| sample.seen.call.p99, Compared::Difference, None);
        add(Row::Stream, "CPU per chunk".to_owned(), "us", |sample| sample.cpu, Compared::Ratio, Some(1.15));
        add(Row::TranslatedStream, "CPU per chunk".to_owned(), "us", |sample| sample.cpu, Compared::Ratio, Some(1.5));
        let first = format!("{}/s, first token, p50", rate / 2);
        add(Row::FirstToken, first.clone(), "us", |sample| sample.seen.first.p50, Compared::Difference, Some(100.0));
        add(Row::FirstToken, first.replace("p50", "p99"), "us", |sample| sample.seen.first.p99, Compared::Difference, None);
        for (few, many) in [(Row::Small, Row::SmallKeys), (Row::Large, Row::LargeKeys)] {
            let of = |row| self.of(row, Subject::Gateway, |sample| sample.cpu);
            let (base, ours) = (of(few), of(many));
            if !base.is_empty() && !ours.is_empty() {
                let name = format!("{} instead of 10: CPU per request", many.title());
                figures.push(Figure { name, unit: "us", base_name: "10 keys", base, ours, compared: Compared::Ratio, goal: Some(1.1) });
            }
        }
        figures
    }

    fn validity(&self, receipts_dropped: u64) -> Validity {
        let failed = self.0.iter().flat_map(|(_, _, samples)| samples).map(|sample| sample.seen.failed).sum();
        Validity {
            relay_cpu: self.of(Row::Small, Subject::Relay, |sample| sample.cpu),
            relay_rate: self.of(Row::Small, Subject::Relay, |sample| sample.rate),
            floor_cpu: self.of(Row::Small, Subject::Floor, |sample| sample.cpu),
            upstream_rate: self.of(Row::Small, Subject::Upstream, |sample| sample.rate),
            failed,
            receipts_dropped,
        }
    }
}
