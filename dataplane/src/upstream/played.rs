//! A session with the simulated provider: its end of a pipe.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use providers::simulated::{Beat, Played, Script};
use snapshot::{Simulated, Surface};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::classify::told;
use super::{Failure, Upstream};
use crate::exchange::{Attempt, Session};

/// What the pipe holds in each direction, in bytes.
const PIPE_BYTES: usize = 64 << 10;

/// A simulated provider has no endpoint with time limits of its own.
const IDLE: Duration = Duration::from_secs(60);
const TOTAL: Duration = Duration::from_secs(1800);

impl Upstream {
    pub(super) fn play_session(&self, attempt: &Attempt, config: &Simulated, models: [String; 2]) -> Result<Session, Failure> {
        let turn = attempt.provider.turns.fetch_add(1, Relaxed);
        let played = Played::open(config, &attempt.model, turn).map_err(|script| self.refused_by(script))?;
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        // It ends with the session, whose end of the pipe is dropped.
        tokio::spawn(play(played, far));
        Ok(Session { link: Box::new(near), models, idle: IDLE, total: TOTAL })
    }

    fn refused_by(&self, script: Script) -> Failure {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = script.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        let body = script.beats.fold(Vec::new(), |mut body, beat| {
            if let Beat::Bytes(bytes) = beat {
                body.extend_from_slice(&bytes);
            }
            body
        });
        told(Surface::Realtime, true, script.status, &headers, Bytes::from(body), self.clock.unix_ms())
    }
}

async fn play(mut played: Played, far: DuplexStream) {
    let mut socket = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
    let mut due = played.greeting();
    loop {
        for beat in due {
            match beat {
                Beat::Wait(time) => tokio::time::sleep(time).await,
                Beat::Bytes(bytes) => {
                    let said = Message::text(String::from_utf8_lossy(&bytes).into_owned());
                    if socket.send(said).await.is_err() {
                        return;
                    }
                }
                Beat::Drop => return,
                // Not even pings are answered, for as long as the session lasts.
                Beat::Hang => {
                    let mut unheard = socket.into_inner();
                    drop(tokio::io::copy(&mut unheard, &mut tokio::io::sink()).await);
                    return;
                }
            }
        }
        due = match socket.next().await {
            Some(Ok(Message::Text(text))) => played.hears(text.as_bytes()),
            Some(Ok(Message::Binary(bytes))) => played.hears(&bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => VecDeque::new(),
            Some(Err(_)) | None => return,
        };
    }
}
