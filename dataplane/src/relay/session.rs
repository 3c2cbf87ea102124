//! A session: messages of a WebSocket in both directions, one of each in memory, until either side ends it or its time is over.
//!
//! Pings are answered here, not passed on; each side is asked now and then whether it lives.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use providers::fault::Fault;
use providers::realtime::{Judged, Meter, Stray, judge};
use snapshot::FailureClass;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::weighed::{Held, NO_ROOM, Weighed};
use super::{Closing, Ended, How};
use crate::exchange::{Room, Session};

/// Largest message of either side, in bytes: what OpenAI takes of sound at once.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What is read at once, in bytes.
const READ_BYTES: usize = 16 << 10;

/// How long both sides may take to hear that it is over.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Which side a message came from, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Provider,
}

/// Why nothing comes from a side any more.
#[derive(Debug)]
enum End {
    /// It said so.
    Closed(Option<CloseFrame>),
    /// It is gone without a word, or speaks no protocol.
    Gone,
    /// It said nothing, not even that it lives.
    Silent,
    /// It said too much at once.
    TooLarge,
    /// This process has no room for what it says.
    NoRoom,
    /// It wants what it was not let in for.
    Strays(Stray),
}

/// Why the gateway ends a session that both sides would go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalledOff {
    /// The process does not wait any longer.
    Leaving,
    /// The key is no longer good for it.
    Revoked,
}

/// Why a session is over.
enum Over {
    Side(Side, End),
    Time,
    CalledOff(CalledOff),
}

/// Carries a session to its end, and closes it in the books. `rooms` are for messages of the client and of the provider;
/// `scribes` says which models may write speech down, and whether one that is not named; `off` comes when the gateway ends it.
pub async fn talk<C: Closing>(
    client: impl AsyncRead + AsyncWrite + Send + Unpin,
    session: Session,
    rooms: [impl Room + Unpin; 2],
    mut closing: C,
    scribes: impl Fn(Option<&str>) -> bool,
    off: impl Future<Output = CalledOff> + Send,
) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let Session { link, models, idle, total } = session;
    let [for_client, for_provider] = rooms;
    let (client, held_of_client) = Weighed::new(client, for_client);
    let (link, held_of_provider) = Weighed::new(link, for_provider);
    let client = WebSocketStream::from_raw_socket(client, Role::Server, Some(config)).await;
    let provider = WebSocketStream::from_raw_socket(link, Role::Client, Some(config)).await;
    let (mut to_client, mut from_client) = client.split();
    let (mut to_provider, mut from_provider) = provider.split();
    let mut meter = Meter::default();
    let mut bytes = 0_u64;
    let over = {
        let hears = |message: &Message| {
            if bytes == 0 {
                closing.first_byte();
            }
            bytes += message.len() as u64;
            if let Message::Text(text) = message {
                meter.hears(text.as_bytes());
            }
            Judged::Passes
        };
        let judges = |message: &Message| match message {
            Message::Text(text) => judge(text.as_bytes(), &models, &scribes),
            Message::Binary(bytes) => judge(bytes, &models, &scribes),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => Judged::Passes,
        };
        let (tells_client, told_client) = mpsc::channel(1);
        let (tells_provider, told_provider) = mpsc::channel(1);
        let (from, to) = ((&mut from_client, held_of_client), (&mut to_provider, told_provider));
        let asking = pin!(pass(Side::Client, from, to, idle, judges, tells_client));
        let (from, to) = ((&mut from_provider, held_of_provider), (&mut to_client, told_client));
        let answering = pin!(pass(Side::Provider, from, to, idle, hears, tells_provider));
        tokio::select! {
            (side, end) = asking => Over::Side(side, end),
            (side, end) = answering => Over::Side(side, end),
            () = sleep(total) => Over::Time,
            off = off => Over::CalledOff(off),
        }
    };
    let Verdict { client, provider, how } = verdict(over);
    let farewell = async {
        // A side that is asked to close says so too. What it said before is passed on no more, but what was used is counted.
        let client = async {
            drop(to_client.send(Message::Close(client)).await);
            while from_client.next().await.is_some_and(|said| said.is_ok()) {}
        };
        let provider = async {
            drop(to_provider.send(Message::Close(provider)).await);
            while let Some(Ok(said)) = from_provider.next().await {
                if let Message::Text(text) = said {
                    meter.hears(text.as_bytes());
                }
            }
        };
        tokio::join!(client, provider);
    };
    drop(timeout(LAST_WORDS, farewell).await);
    closing.end(Ended { facts: meter.facts().clone(), bytes, how, unpriced: meter.was_written_down() });
}

/// Takes messages of one side and gives them to the other, those that may pass; what it is `told` besides goes there too. Why a
/// message does not pass is told by `tells`. The side that ended it is told with how it ended.
async fn pass<A, B>(
    side: Side,
    (from, held): (&mut SplitStream<WebSocketStream<A>>, Held),
    (to, mut told): (&mut SplitSink<WebSocketStream<B>, Message>, mpsc::Receiver<String>),
    idle: Duration,
    mut judges: impl FnMut(&Message) -> Judged,
    tells: mpsc::Sender<String>,
) -> (Side, End)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let other = if side == Side::Client { Side::Provider } else { Side::Client };
    // Whether the other side lives; that it does is heard by whoever listens to it.
    let mut asks = interval(idle / 3);
    asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    asks.tick().await;
    let mut refused = 0;
    loop {
        let mut silence = pin!(sleep(idle));
        let said = loop {
            let word = tokio::select! {
                said = from.next() => break said,
                Some(word) = told.recv() => Message::text(word),
                _ = asks.tick() => Message::Ping(Bytes::new()),
                () = &mut silence => return (side, End::Silent),
            };
            if let Err(end) = give(to, word, idle).await {
                return (other, end);
            }
        };
        let message = match said {
            Some(Ok(Message::Close(frame))) => return (side, End::Closed(frame)),
            Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
                held.heard(payload.len());
                continue;
            }
            // Nobody is told of single frames.
            Some(Ok(Message::Frame(_))) => continue,
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
            Some(Err(Error::Io(error))) if error.kind() == NO_ROOM => return (side, End::NoRoom),
            Some(Err(Error::Capacity(_))) => return (side, End::TooLarge),
            Some(Err(_)) | None => return (side, End::Gone),
        };
        match judges(&message) {
            Judged::Passes => {}
            Judged::Strays(stray) => return (side, End::Strays(stray)),
            Judged::Refused(denied) => {
                held.passed_on();
                refused += 1;
                drop(tells.send(denied.told(refused)).await);
                continue;
            }
        }
        match give(to, message, idle).await {
            Ok(()) => held.passed_on(),
            Err(end) => return (other, end),
        }
    }
}

/// Gives a message to a side, which may take so long to read it.
async fn give<S>(to: &mut SplitSink<WebSocketStream<S>, Message>, message: Message, patience: Duration) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(patience, to.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Silent),
    }
}

/// What both sides are told at the end, and the books.
struct Verdict {
    client: Option<CloseFrame>,
    provider: Option<CloseFrame>,
    how: How,
}

fn verdict(over: Over) -> Verdict {
    let frame = |code, reason: &'static str| Some(CloseFrame { code, reason: reason.into() });
    let away = |reason| frame(CloseCode::Away, reason);
    let broken = |class, message: &str| How::Broken(Fault::new(class, message));
    match over {
        Over::CalledOff(CalledOff::Revoked) => {
            let told = frame(CloseCode::Policy, "the API key is no longer good for this session");
            Verdict { client: told, provider: away("the client left"), how: How::InFull }
        }
        Over::CalledOff(CalledOff::Leaving) => {
            let told = away("this gateway is restarting; connect again");
            Verdict { client: told.clone(), provider: told, how: How::InFull }
        }
        Over::Time => {
            let told = away("the time for a session is over");
            Verdict { client: told.clone(), provider: told, how: broken(FailureClass::Timeout, "the time for a session was over") }
        }
        Over::Side(Side::Client, End::Closed(frame)) => {
            let told = passed_on(frame);
            Verdict { client: told.clone(), provider: told, how: How::InFull }
        }
        Over::Side(Side::Client, End::Gone | End::Silent) => {
            Verdict { client: away("nothing was heard of the client"), provider: away("the client left"), how: How::ClientGone }
        }
        Over::Side(Side::Client, End::TooLarge) => Verdict {
            client: frame(CloseCode::Size, "a message is larger than 16 MiB"),
            provider: away("the client left"),
            how: How::InFull,
        },
        Over::Side(_, End::Strays(stray)) => Verdict {
            client: frame(
                CloseCode::Policy,
                match stray {
                    Stray::Model => "a session keeps its model; open another one",
                    Stray::Prompt => "`prompt` is kept at the provider, not sealed with your team; send its instructions",
                },
            ),
            provider: away("the client left"),
            how: How::InFull,
        },
        Over::Side(side, End::NoRoom) => Verdict {
            client: frame(CloseCode::Again, "this gateway is full; try again shortly"),
            provider: away("the client left"),
            how: if side == Side::Client { How::InFull } else { broken(FailureClass::Overloaded, "no room for a message of the provider") },
        },
        Over::Side(Side::Provider, End::Closed(frame)) => {
            let told = passed_on(frame);
            let code = told.as_ref().map(|frame| frame.code);
            let how = match code {
                None | Some(CloseCode::Normal | CloseCode::Away) => How::InFull,
                Some(code) => broken(FailureClass::ServerError, &format!("the provider closed the session with {}", u16::from(code))),
            };
            Verdict { client: told.clone(), provider: told, how }
        }
        Over::Side(Side::Provider, End::Gone) => Verdict {
            client: frame(CloseCode::Error, "the connection to the provider broke"),
            provider: None,
            how: broken(FailureClass::StreamBroken, "the connection to the provider broke"),
        },
        Over::Side(Side::Provider, End::Silent) => Verdict {
            client: frame(CloseCode::Error, "nothing was heard of the provider"),
            provider: away("nothing was heard"),
            how: broken(FailureClass::Timeout, "nothing was heard of the provider"),
        },
        Over::Side(Side::Provider, End::TooLarge) => Verdict {
            client: frame(CloseCode::Error, "a message of the provider is larger than 16 MiB"),
            provider: frame(CloseCode::Size, "a message is larger than 16 MiB"),
            how: broken(FailureClass::InvalidResponse, "a message of the provider is larger than 16 MiB"),
        },
    }
}

/// What one side said at the end, for the other; a code that nobody may say is left out.
fn passed_on(frame: Option<CloseFrame>) -> Option<CloseFrame> {
    frame.filter(|frame| frame.code.is_allowed())
}
