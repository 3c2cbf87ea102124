//! The bundle as the API server has it. Only the index is watched, by its name; parts are fetched when an index names
//! them and their digest is new.
//!
//! What it finds it tells to the supply, which decides. The API server may come and go: the pod serves what it has.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use snapshot::GatewayId;
use snapshot::bundle::{Index, Joined, PartKind, PartRef, index_name};
use tokio::sync::{mpsc, watch};

use super::ApiServer;
use super::apiobjects::{Event, List, part_bytes};
use super::apiserver::{ApiError, Lines, Session};
use super::objects::Objects;
use super::ratchet::{self, Refusal, Served};
use crate::clock::Dice;

/// The server ends a watch after this long, so that it is authorised anew and spread over servers.
const WATCH_SECONDS: u64 = 240;
/// So much longer nothing may come before a watch is given up.
const WATCH_GRACE: Duration = Duration::from_secs(20);
/// The first and the longest pause before it is asked again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What the supply is told.
#[derive(Debug)]
pub(super) enum Told {
    /// A bundle that is whole and newer than what was served when it was found.
    Offer(Box<(Joined, Objects)>),
    /// What is served is what the index names.
    Same,
    /// There is no index.
    Absent,
    /// What the index names cannot be taken.
    Refused(Refusal),
    /// The index names something newer, whose parts are not to be had.
    Parts(ApiError),
    /// The API server does not tell the index.
    Silent(ApiError),
}

/// Follows the index of a gateway.
pub(super) struct Cluster {
    server: ApiServer,
    gateway: GatewayId,
    served: watch::Receiver<Option<Served>>,
    told: mpsc::Sender<Told>,
    /// Parts of the last whole bundle: the object's name, its digest, its bytes.
    held: BTreeMap<String, (String, Bytes)>,
    /// The index last seen names what is served.
    current: bool,
    dice: Dice,
}

/// Nobody listens any more.
struct Unheard;

/// Whether to go on watching or to list again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Watch,
    List,
}

impl Cluster {
    pub(super) fn new(server: ApiServer, gateway: GatewayId, served: watch::Receiver<Option<Served>>, told: mpsc::Sender<Told>) -> Self {
        Self { server, gateway, served, told, held: BTreeMap::new(), current: false, dice: Dice::new() }
    }

    /// Parts that need not be fetched: those of a bundle that was found whole elsewhere.
    pub(super) fn hold(&mut self, index: &Index, objects: &Objects) {
        let part = |(part, name): (&PartRef, String)| {
            let bytes = objects.parts.get(&name)?.clone();
            Some((name, (part.digest.clone(), bytes)))
        };
        self.held = index.part_names().filter_map(part).collect();
    }

    /// Lists, then watches, until nobody listens.
    pub(super) async fn follow_while_heard(self) {
        let told = self.told.clone();
        tokio::select! {
            () = told.closed() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(mut self) {
        let mut pauses = 0;
        while self.round(&mut pauses).await.is_ok() {
            let pause = PAUSE.0.saturating_mul(1 << pauses.min(16)).min(PAUSE.1);
            // Between half of it and all: pods that lost one server do not come back as one.
            tokio::time::sleep(pause.mul_f64(0.5 + (self.dice.roll()[0] >> 11) as f64 / (1u64 << 54) as f64)).await;
            pauses += 1;
        }
    }

    /// One list and the watches that go on from there. Progress sets the pauses back.
    async fn round(&mut self, pauses: &mut u32) -> Result<(), Unheard> {
        let List { mut version, index } = match self.list().await {
            Ok(listed) => listed,
            Err(error) => return self.tell(Told::Silent(error)).await,
        };
        if self.look(index, true).await? == Next::List {
            return Ok(());
        }
        loop {
            match self.watch(&mut version, pauses).await? {
                // It ended in order, and had told something: at once again, but not for ever.
                Ok(Next::Watch) if *pauses == 0 => *pauses = 1,
                // Again from a list: the server no longer knows the version, or ends watches as soon as they begin.
                Ok(Next::Watch | Next::List) => return Ok(()),
                Err(error) => {
                    tracing::debug!(%error, "the watch of the index broke");
                    return Ok(());
                }
            }
        }
    }

    async fn list(&self) -> Result<List, ApiError> {
        let body = Session::open(&self.server).await?.get(&self.index_path()).await?;
        Ok(List::parse(&body)?)
    }

    fn index_path(&self) -> String {
        let (namespace, name) = (self.gateway.namespace(), index_name(&self.gateway));
        format!("/api/v1/namespaces/{namespace}/configmaps?fieldSelector=metadata.name%3D{name}")
    }

    /// One watch, to its end.
    async fn watch(&mut self, version: &mut String, pauses: &mut u32) -> Result<Result<Next, ApiError>, Unheard> {
        let seconds = WATCH_SECONDS + self.dice.roll()[0] % 60;
        let path = format!("{}&watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}", self.index_path());
        let mut lines = match begin(&self.server, &path).await {
            Ok(lines) => lines,
            Err(error) if error.is_status(&[410]) => return Ok(Ok(Next::List)),
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let event = match lines.next(Duration::from_secs(seconds) + WATCH_GRACE).await {
                Ok(Some(line)) => Event::parse(&line),
                Ok(None) => return Ok(Ok(Next::Watch)),
                Err(error) => return Ok(Err(error)),
            };
            let next = match event {
                Ok(Event::Index { version: now, index }) => {
                    *version = now;
                    self.look(index, false).await?
                }
                Ok(Event::Bookmark { version: now }) => {
                    *version = now;
                    if self.current {
                        self.tell(Told::Same).await?;
                    }
                    Next::Watch
                }
                Ok(Event::Error) => Next::List,
                Err(error) => return Ok(Err(error.into())),
            };
            if next == Next::List {
                return Ok(Ok(Next::List));
            }
            *pauses = 0;
        }
    }

    /// Looks at an index and fetches what is new in it. `aloud`: trouble is told; else a list comes first, since an index
    /// that was seen a moment ago may be behind its parts.
    async fn look(&mut self, index: Option<String>, aloud: bool) -> Result<Next, Unheard> {
        self.current = false;
        let Some(text) = index else {
            self.tell(Told::Absent).await?;
            return Ok(Next::Watch);
        };
        let index = match Index::parse(&self.gateway, text.as_bytes()) {
            Ok(index) => index,
            Err(torn) => return self.trouble(Told::Refused(torn.into()), aloud).await,
        };
        let wanted = ratchet::wants(self.served.borrow().as_ref(), &index);
        match wanted {
            Ok(true) => {}
            Ok(false) => {
                self.current = true;
                self.tell(Told::Same).await?;
                return Ok(Next::Watch);
            }
            Err(refusal) => {
                self.tell(Told::Refused(refusal)).await?;
                return Ok(Next::Watch);
            }
        }
        let objects = match self.fetch(&index, text).await {
            Ok(objects) => objects,
            Err(error) => return self.trouble(Told::Parts(error), aloud).await,
        };
        match objects.join(&self.gateway) {
            Ok(joined) => {
                self.hold(&index, &objects);
                self.current = true;
                self.tell(Told::Offer(Box::new((joined, objects)))).await?;
                Ok(Next::Watch)
            }
            Err(torn) => self.trouble(Told::Refused(torn.into()), aloud).await,
        }
    }

    async fn trouble(&self, told: Told, aloud: bool) -> Result<Next, Unheard> {
        if aloud {
            self.tell(told).await?;
        } else {
            tracing::debug!(?told, "the index is listed again");
        }
        Ok(Next::List)
    }

    /// The parts that the index names: from those at hand, else from the API server. One that is not there is left out.
    async fn fetch(&self, index: &Index, text: String) -> Result<Objects, ApiError> {
        let mut objects = Objects { index: text.into(), parts: BTreeMap::new() };
        let mut session = None;
        for (part, name) in index.part_names() {
            if let Some((_, bytes)) = self.held.get(&name).filter(|(digest, _)| *digest == part.digest) {
                objects.parts.insert(name, bytes.clone());
                continue;
            }
            let session = match &mut session {
                Some(session) => session,
                empty => empty.insert(Session::open(&self.server).await?),
            };
            let kind = match part.kind {
                PartKind::Config => "configmaps",
                PartKind::Credentials => "secrets",
            };
            let path = format!("/api/v1/namespaces/{}/{kind}/{name}", self.gateway.namespace());
            match session.get(&path).await {
                Ok(body) => objects.parts.extend(part_bytes(&body, part.kind)?.map(|bytes| (name, bytes.into()))),
                Err(error) if error.is_status(&[404]) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(objects)
    }

    async fn tell(&self, told: Told) -> Result<(), Unheard> {
        self.told.send(told).await.map_err(|_| Unheard)
    }
}

async fn begin(server: &ApiServer, path: &str) -> Result<Lines, ApiError> {
    Session::open(server).await?.watch(path).await
}
