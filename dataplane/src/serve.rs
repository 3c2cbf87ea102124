//! The story of one call. Every line is a room; the order is the policy.
//!
//! Invariant: whatever happens to a call, its [`Entry`] is closed exactly once.

mod entry;
mod opened;
mod standing;

use std::sync::Arc;

use http::HeaderMap;
use snapshot::{Gateway, Surface};

use crate::clock::{Clock, Dice};
use crate::exchange::{Answer, Body, Call, Grant, Link, Plan, Portkey, Refusal, Session, Through, Wanted};
use crate::ledger::Books;
use crate::live::{Live, LiveHandle};
use crate::relay::{self, CalledOff, Relay};
use crate::seal::SealHandle;
use crate::upstream::{Headers, Upstream};
use crate::{auth, limits, routing};

use standing::Standing;

pub use entry::Entry;

pub use crate::relay::SayFault;

/// What one core needs to serve. Bounds, books and the configuration are the process's; the way out is the core's own.
pub struct Rooms {
    /// The configuration.
    pub live: Arc<LiveHandle>,
    /// Seals ids of what providers keep.
    pub seal: Arc<SealHandle>,
    /// Bounds of the process.
    pub process: Arc<limits::Process>,
    /// This core's connections to providers.
    pub upstream: Upstream,
    /// Receipts and metrics.
    pub books: Arc<Books>,
    /// What time it is.
    pub clock: Clock,
    /// This core's dice.
    pub dice: Dice,
}

/// Reads a request's body; given by the door, which knows bodies. Called only once the caller is known and has a place.
pub trait Intake {
    /// The whole body, within the hold's bounds and the gateway's limits.
    fn read(self, hold: &limits::Hold, gateway: &Gateway) -> impl Future<Output = Result<(Body, limits::BodyPermit), Refusal>> + Send;
}

/// What a client asks for, as far as a request's head tells.
pub enum Wish {
    /// What a body says, by one of the doors.
    Surface(Surface),
    /// A path of a provider.
    Path(Box<Through>),
    /// A session with this model.
    Session(String),
    /// Something about what a provider keeps.
    Stored(Box<Wanted>),
}

impl Wish {
    /// The door.
    #[must_use]
    pub fn surface(&self) -> Surface {
        match self {
            Self::Surface(surface) => *surface,
            Self::Path(_) => Surface::Proxy,
            Self::Session(_) => Surface::Realtime,
            Self::Stored(wanted) => wanted.surface,
        }
    }

    /// The call, with the seals of its ids broken.
    fn call(self, body: Body, rooms: &Rooms, live: &Live, grant: &Grant) -> Result<Call, Refusal> {
        let surface = self.surface();
        match self {
            Self::Surface(_) => opened::call(&rooms.seal, live, grant, Call::read(surface, body).map_err(Refusal::BadBody)?),
            Self::Path(through) => Ok(Call::of_path(surface, body, Some(through), None)),
            Self::Stored(wanted) => opened::stored(&rooms.seal, live, grant, *wanted, body),
            Self::Session(model) => Ok(Call::of_session(surface, model, body)),
        }
    }
}

/// A reply on its way: what the door needs for its head, and the body.
pub struct Reply {
    /// Whether it is an event stream, by our reading.
    pub stream: bool,
    /// The provider's own head, of an answer that is passed on as it is: its status, and what the client is told of it.
    pub raw: Option<(u16, HeaderMap)>,
    /// Whether it is an estimate of the gateway's own.
    pub estimate: bool,
    /// Fields that the provider was not told.
    pub dropped: String,
    /// The body.
    pub body: Relay<Entry>,
}

/// Serves one call. A refusal leaves the entry with the caller, who tells the client and closes it.
///
/// # Errors
/// The gateway's or the provider's no.
pub async fn serve(
    rooms: &Rooms,
    entry: &mut Option<Entry>,
    wish: Wish,
    headers: &HeaderMap,
    intake: impl Intake,
    say: SayFault,
) -> Result<Reply, Refusal> {
    let note = entry.as_mut().ok_or(Refusal::NotReady)?;
    let Planned { call, plan, permit, client, .. } = planned(rooms, note, wish, headers, intake).await?;
    let mut room = permit.answer();
    let answer = rooms.upstream.run(&plan, &call, &client, &mut room, note.trace()).await?;
    let mut answer = room.keep(answer);
    drop(permit);
    let raw = if let Answer::Raw(raw) = &mut answer { Some((raw.status, std::mem::take(&mut raw.headers))) } else { None };
    let stream = matches!(answer, Answer::Stream(_));
    let estimate = matches!(&answer, Answer::Whole(whole) if whole.estimate);
    let mut entry = entry.take().ok_or(Refusal::NotReady)?;
    let dropped = std::mem::take(&mut entry.trace().dropped);
    Ok(Reply { stream, raw, estimate, dropped, body: relay::back(answer, entry, say) })
}

/// Opens a session with a provider; the entry is its own from then on. A refusal leaves the entry with the caller.
///
/// # Errors
/// The gateway's or the provider's no.
pub async fn open(rooms: &Rooms, entry: &mut Option<Entry>, model: String, headers: &HeaderMap) -> Result<Opened, Refusal> {
    let note = entry.as_mut().ok_or(Refusal::NotReady)?;
    let Planned { call, plan, permit, client, grant } = planned(rooms, note, Wish::Session(model), headers, Bodiless).await?;
    let session = rooms.upstream.open_session(&plan, &call, &client, note.trace()).await?;
    let provider = note.trace().attempt.as_ref().map(|attempt| attempt.provider.clone());
    let entry = entry.take().ok_or(Refusal::NotReady)?;
    Ok(Opened { session, rooms: permit.messages(), entry, standing: Standing::new(rooms, grant, provider) })
}

/// A session that is open at its provider, and waits for its client.
pub struct Opened {
    session: Session,
    rooms: [limits::AnswerRoom<limits::BodyPermit>; 2],
    entry: Entry,
    standing: Standing,
}

impl Opened {
    /// The head that the client gets.
    pub fn answered_with(&mut self, status: u16) {
        self.entry.answered_with(status);
    }

    /// Carries it to its end, or until `leaving` comes.
    pub async fn carry(self, client: impl Link, leaving: impl Future<Output = ()> + Send) {
        let Self { session, rooms, entry, standing } = self;
        let off = async {
            tokio::select! {
                () = leaving => CalledOff::Leaving,
                () = standing.lost() => CalledOff::Revoked,
            }
        };
        let scribes = |model: Option<&str>| standing.allows_beside(model);
        relay::talk(client, session, rooms, entry, scribes, off).await;
    }
}

/// What is known before any provider is asked.
struct Planned {
    call: Call,
    plan: Plan,
    permit: limits::BodyPermit,
    client: Headers,
    grant: Grant,
}

/// The way of every call as far as its plan.
async fn planned(rooms: &Rooms, note: &mut Entry, wish: Wish, headers: &HeaderMap, intake: impl Intake) -> Result<Planned, Refusal> {
    let live = note.live().clone();
    let grant = auth::identify(&live, headers, rooms.clock.unix_ms())?;
    note.known(&grant);
    auth::admit(&grant, wish.surface().operation())?;
    let portkey = Portkey::read(headers)?;
    let hold = limits::reserve(&rooms.process, &grant)?;
    let (body, permit) = intake.read(&hold, &live.gateway).await?;
    let call = wish.call(body, rooms, &live, &grant)?;
    note.asked(&call, hold);
    let mut asked = routing::Asked::call(&grant, &call, headers, &portkey);
    let plan = match (&call.through, &call.stored) {
        (Some(through), _) => routing::through(&live, &grant, through),
        (None, Some(stored)) => routing::stored(&live, &grant, stored, call.bound.as_ref(), &portkey),
        (None, None) => routing::plan(&live, &grant, &mut asked),
    };
    note.unanswered(asked.unanswered);
    let plan = routing::bound(&live, &grant, plan?, call.bound.as_ref())?;
    note.planned(&plan);
    Ok(Planned { call, plan, permit, client: Headers::of_client(headers, portkey.patience), grant })
}

/// A request that has no body.
struct Bodiless;

impl Intake for Bodiless {
    async fn read(self, hold: &limits::Hold, _: &Gateway) -> Result<(Body, limits::BodyPermit), Refusal> {
        Ok((Body::Here(bytes::Bytes::new()), hold.body(0)?))
    }
}
