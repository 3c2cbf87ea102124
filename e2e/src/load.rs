//! Clients that never stop: calls at a steady rate and long streams, each of which must be answered whole.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::client::{Answer, Wire, chat, posting};

/// What the clients do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where they connect.
    pub door: SocketAddr,
    /// Keys, in turn.
    pub keys: Vec<String>,
    /// Models of the calls, in turn.
    pub models: Vec<String>,
    /// Calls in a second.
    pub rate: u32,
    /// The model of the streams.
    pub streaming: String,
    /// Streams that are open at any time.
    pub streams: usize,
    /// Connections come from ports from here on, else from any. What a proxy of Services remembers of a connection to a dead
    /// pod leads its port there for minutes: who must find the living comes from a port of its own.
    pub from_port: Option<u16>,
}

/// So many ports one load takes in turn.
const PORTS: u16 = 8_000;

/// Connections that share the calls.
const CONNECTIONS: u32 = 30;
/// A client makes a new connection after so many calls, so that new pods get their share.
const CALLS_ON_ONE: u32 = 40;
/// A client takes one that is silent for so long for gone: a node that is killed does not say so.
const SILENCE: Duration = Duration::from_secs(20);
/// The pause of a client of streams that finds nobody.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Noted {
    stop: AtomicBool,
    connected: AtomicUsize,
    calls: AtomicUsize,
    streams: AtomicUsize,
    times: Mutex<Vec<Duration>>,
    failures: Mutex<Vec<String>>,
}

impl Noted {
    fn fail(&self, what: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Relaxed)
    }
}

/// Running clients.
pub struct Load {
    noted: Arc<Noted>,
    clients: Vec<JoinHandle<()>>,
    began: Instant,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Calls that were made.
    pub calls: usize,
    /// Streams that ended whole.
    pub streams: usize,
    /// What failed, and how.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts the clients.
    #[must_use]
    pub fn start(plan: Plan) -> Self {
        let (noted, plan, began) = (Arc::new(Noted::default()), Arc::new(plan), Instant::now());
        let callers = (0..CONNECTIONS).map(|number| tokio::spawn(call(plan.clone(), noted.clone(), began, number)));
        let mut clients: Vec<_> = callers.collect();
        clients.extend((0..plan.streams).map(|number| tokio::spawn(stream(plan.clone(), noted.clone(), began, number))));
        Self { noted, clients, began }
    }

    /// What failed so far.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.noted.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Calls that were answered so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.noted.calls.load(Relaxed)
    }

    /// Begins nothing new, waits for what runs, and prints what came of it.
    pub async fn end(self, what: &str) -> Outcome {
        self.noted.stop.store(true, Relaxed);
        for client in self.clients {
            client.await.expect("a client that does not panic");
        }
        let take = |list: &Mutex<Vec<String>>| std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner));
        let (calls, streams) = (self.noted.calls.load(Relaxed), self.noted.streams.load(Relaxed));
        let outcome = Outcome { calls, streams, failures: take(&self.noted.failures) };
        let seconds = self.began.elapsed().as_secs_f64();
        crate::cluster::say(&format!("{what}: {calls} calls and {streams} streams in {seconds:.0} s, {} failed", outcome.failures.len()));
        let times = std::mem::take(&mut *self.noted.times.lock().unwrap_or_else(PoisonError::into_inner));
        crate::portolan::spread("  their times", times);
        outcome
    }
}

impl Outcome {
    /// Nothing failed, and there was something to fail.
    ///
    /// # Panics
    /// Otherwise.
    pub fn assert_whole(&self) {
        let first: Vec<&String> = self.failures.iter().take(10).collect();
        assert!(
            self.failures.is_empty(),
            "{} of {} calls and {} streams failed: {first:#?}",
            self.failures.len(),
            self.calls,
            self.streams
        );
        assert!(self.calls > 0);
    }
}

/// Makes every thirtieth call, each when its time has come: a slow answer does not spare the gateway the next one.
async fn call(plan: Arc<Plan>, noted: Arc<Noted>, began: Instant, number: u32) {
    let mut wire: Option<(Wire, u32)> = None;
    let mut count = number;
    while noted.goes_on() {
        let due = Duration::from_secs(1) * count / plan.rate;
        tokio::time::sleep_until((began + due).into()).await;
        let place = |length: usize| (count / CONNECTIONS + number) as usize % length;
        let (key, model) = (&plan.keys[place(plan.keys.len())], &plan.models[count as usize % plan.models.len()]);
        let (mut open, used) = match wire.take().filter(|(wire, used)| *used < CALLS_ON_ONE && wire.is_open()) {
            Some(kept) => kept,
            None => match connect(&plan, &noted).await {
                Ok(new) => (new, 0),
                Err(error) => {
                    noted.fail(format!("{:.1} s: no connection: {error}", began.elapsed().as_secs_f64()));
                    count += CONNECTIONS;
                    continue;
                }
            },
        };
        let sent = Instant::now();
        open.send(posting("/v1/chat/completions", key, &chat(model, false))).await;
        let answer = within(open.answer()).await.flatten();
        noted.calls.fetch_add(1, Relaxed);
        noted.times.lock().unwrap_or_else(PoisonError::into_inner).push(sent.elapsed());
        let (at, stays) = (began.elapsed().as_secs_f64(), answer.as_ref().is_some_and(stays_open));
        match answer {
            Some(answer) if answer.status == 200 => {}
            Some(answer) => noted.fail(format!("{at:.1} s: {model}: {} {}", answer.status, answer.text())),
            None => {
                noted.fail(format!("{at:.1} s: {model}: the connection ended or fell silent after {used} calls on it, before an answer"))
            }
        }
        wire = stays.then_some((open, used + 1));
        count += CONNECTIONS;
    }
}

async fn connect(plan: &Plan, noted: &Noted) -> std::io::Result<Wire> {
    let wire = async {
        match plan.from_port {
            None => Wire::try_to(plan.door).await,
            Some(first) => {
                let turn = noted.connected.fetch_add(1, Relaxed) % usize::from(PORTS);
                Wire::try_from_port(first + u16::try_from(turn).unwrap_or(0), plan.door).await
            }
        }
    };
    within(wire).await.unwrap_or_else(|| Err(std::io::ErrorKind::TimedOut.into()))
}

async fn within<T>(what: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(SILENCE, what).await.ok()
}

/// What comes of a stream, until it ends or falls silent.
async fn streamed(wire: &mut Wire) -> Option<Answer> {
    let (status, headers) = within(wire.head()).await.flatten()?;
    let mut answer = Answer { status, headers, body: Vec::new() };
    if answer.header("transfer-encoding").is_some() {
        while let Some(chunk) = within(wire.chunk()).await.flatten() {
            answer.body.extend(chunk);
        }
    }
    Some(answer)
}

fn stays_open(answer: &Answer) -> bool {
    answer.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"))
}

/// Keeps one stream open at a time; each must end with its last event.
async fn stream(plan: Arc<Plan>, noted: Arc<Noted>, began: Instant, number: usize) {
    let key = &plan.keys[number % plan.keys.len()];
    while noted.goes_on() {
        let mut wire = match connect(&plan, &noted).await {
            Ok(wire) => wire,
            Err(error) => {
                noted.fail(format!("{:.1} s: no connection for a stream: {error}", began.elapsed().as_secs_f64()));
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let opened = began.elapsed().as_secs_f64();
        wire.send(posting("/v1/chat/completions", key, &chat(&plan.streaming, true))).await;
        let answer = streamed(&mut wire).await;
        let ended = began.elapsed().as_secs_f64();
        match answer {
            Some(answer) if answer.status == 200 && answer.text().trim_end().ends_with("data: [DONE]") => {
                noted.streams.fetch_add(1, Relaxed);
            }
            Some(answer) => {
                let text = answer.text();
                let tail = text.get(text.len().saturating_sub(200)..).unwrap_or_default();
                noted.fail(format!("a stream opened at {opened:.1} s broke at {ended:.1} s: {} ...{tail}", answer.status));
            }
            None => noted.fail(format!("a stream opened at {opened:.1} s had no answer at {ended:.1} s")),
        }
    }
}
