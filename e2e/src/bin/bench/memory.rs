//! Resident memory: idle, at the peak of a reload, after many reloads, and for each open stream.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::answers::Script;
use crate::figures::{Compared, Figure};
use crate::gateway::Gateway;
use crate::plan::Plan;
use crate::process::Process;
use crate::rounds::{Ground, LONG_MESSAGE_STREAM, LONG_STREAM};
use crate::{Asked, Outcome, now};

/// Streams at once.
const STREAMS: u32 = 500;

/// Time for what a start or a reload leaves to be given back.
const SETTLE: Duration = Duration::from_secs(1);

/// Measures all of it, each in a gateway of its own.
pub fn figures(ground: &Ground, asked: &Asked) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for (keys, shown, goal) in [(10, "10", 12.0), (10_000, "10,000", 28.0)] {
        let (mut idle, mut peak) = (Vec::new(), Vec::new());
        for round in 0..asked.rounds {
            let gateway = ground.gateway(&format!("memory-{keys}-{round}"), keys, 1, false, ground.subject)?;
            sleep(SETTLE);
            idle.push(gateway.process.memory_mib("VmRSS")?);
            gateway.process.forget_peak()?;
            reload(&gateway, 0)?;
            peak.push(gateway.process.memory_mib("VmHWM")?);
        }
        let name = |what: &str| format!("memory, {shown} keys: {what}");
        let figure = |name, base_name, base, ours, compared, goal| Figure { name, unit: "MiB", base_name, base, ours, compared, goal };
        figures.push(figure(name("idle"), "", Vec::new(), idle.clone(), Compared::Alone, Some(goal)));
        figures.push(figure(name("peak of a reload"), "", Vec::new(), peak.clone(), Compared::Alone, Some(2.0 * goal)));
        figures.push(figure(name("peak of a reload over idle"), "idle", idle, peak, Compared::Ratio, None));
    }
    if asked.reloads > 0 {
        figures.push(after_reloads(ground, asked.reloads)?);
    }
    figures.push(per_stream(ground, asked.rounds, LONG_STREAM, "an open stream", None)?);
    figures.push(per_stream(ground, asked.rounds, LONG_MESSAGE_STREAM, "an open translated stream", Some(48.0))?);
    Ok(figures)
}

/// Changes a manifest and waits until the change is served.
fn reload(gateway: &Gateway, number: u32) -> Outcome<()> {
    let before = gateway.sequence()?;
    gateway.edit(number)?;
    let began = now();
    while gateway.sequence()? == before {
        if began.elapsed() > Duration::from_secs(30) {
            return Err("the gateway does not take a changed manifest".into());
        }
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn after_reloads(ground: &Ground, reloads: u32) -> Outcome<Figure> {
    let gateway = ground.gateway("memory-reloads", 10, 1, false, ground.subject)?;
    sleep(SETTLE);
    let idle = gateway.process.memory_mib("VmRSS")?;
    for number in 0..reloads {
        reload(&gateway, number)?;
    }
    sleep(SETTLE);
    let name = format!("memory, 10 keys: after {reloads} reloads");
    let after = gateway.process.memory_mib("VmRSS")?;
    Ok(Figure { name, unit: "MiB", base_name: "idle", base: vec![idle], ours: vec![after], compared: Compared::Ratio, goal: Some(1.05) })
}

/// What an open stream takes, beside the relay's; or by itself, where it may take at most so much.
fn per_stream(ground: &Ground, rounds: u32, script: Script, what: &str, goal: Option<f64>) -> Outcome<Figure> {
    let (mut base, mut ours) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let gateway = ground.gateway(&format!("memory-{}-{round}", script.segment()), 10, 1, false, ground.subject)?;
        if goal.is_none() {
            let relay = Process::part(ground.subject, &["relay", "--upstream", &ground.upstream.address.to_string()])?;
            let mut to_relay = ground.plan(script, 1024, None, &gateway.keys)?;
            to_relay.address = relay.address;
            base.push(grown(ground, to_relay, &relay)?);
        }
        let to_gateway = ground.plan(script, 1024, Some(&gateway), &gateway.keys)?;
        ours.push(grown(ground, to_gateway, &gateway.process)?);
    }
    let name = format!("memory of {what}, of {STREAMS}");
    let (base_name, compared) = if goal.is_none() { ("relay", Compared::Ratio) } else { ("", Compared::Alone) };
    Ok(Figure { name, unit: "KiB", base_name, base, ours, compared, goal })
}

/// By how many KiB a process grows with each open stream.
fn grown(ground: &Ground, plan: Plan, process: &Process) -> Outcome<f64> {
    sleep(SETTLE);
    let plan = Plan { connections: STREAMS, seconds: 1.0, ..plan };
    let before = process.memory_mib("VmRSS")?;
    let mut command = ground.rest.command(&std::env::current_exe()?);
    let mut load = command.arg("load").arg(serde_json::to_string(&plan)?).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    // Streams run for 6 s: by now all are open and none has ended.
    sleep(Duration::from_secs(4));
    let during = process.memory_mib("VmRSS")?;
    load.kill()?;
    load.wait()?;
    Ok((during - before) * 1024.0 / f64::from(STREAMS))
}
