//! Calls at a fixed rate, whatever the answers take: one thread and one connection for each worker, so that nothing
//! but the socket stands between the clock and the peer. A call that could not begin in time because the one before
//! it was late is measured from when it should have begun.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::load::{Calls, note};
use crate::plan::{Plan, Tally};
use crate::{Outcome, now, wire};

/// Calls so many times a second, over all connections.
pub fn run(plan: &Plan, rate: u32) -> Outcome<Tally> {
    let calls = Arc::new(Calls::of(plan)?);
    let start = now() + Duration::from_millis(20);
    let end = start + Duration::from_secs_f64(plan.seconds);
    let period = Duration::from_secs_f64(f64::from(plan.connections) / f64::from(rate));
    let mut workers = Vec::new();
    for number in 0..plan.connections {
        let (calls, address) = (calls.clone(), plan.address);
        let first = start + period.mul_f64(f64::from(number) / f64::from(plan.connections));
        workers.push(std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
            let mut tally = Tally::default();
            let worked =
                TcpStream::connect(address).map_err(Into::into).and_then(|stream| work(stream, &calls, first, period, end, &mut tally));
            if let Err(error) = worked {
                tally.failure(error);
            }
            tally
        })?);
    }
    let mut tally = Tally::default();
    for worker in workers {
        tally.add(worker.join().map_err(|_| "a worker of the load ended early")?);
    }
    Ok(tally)
}

fn work(mut stream: TcpStream, calls: &Calls, first: Instant, period: Duration, end: Instant, tally: &mut Tally) -> Outcome<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut request = calls.request();
    let mut buffer = vec![0; 64 << 10];
    let mut due = first;
    while due < end {
        let wait = due.saturating_duration_since(now());
        std::thread::sleep(wait);
        // The sleep's own lateness is the benchmark's, not the peer's.
        let began = if wait.is_zero() { due } else { now() };
        calls.turn(&mut request);
        stream.write_all(&request)?;
        let mut answer = wire::Answer::default();
        let mut first = None;
        loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Err("the connection closed in the middle".into());
            }
            let whole = answer.take(&buffer[..count]);
            if first.is_none() && answer.has_body() {
                first = Some(began.elapsed());
            }
            if whole {
                break;
            }
        }
        if answer.status != 200 {
            return Err(format!("status {}", answer.status).into());
        }
        note(tally, answer.status, answer.events, first.unwrap_or_default(), began.elapsed());
        due += period;
    }
    Ok(())
}
