//! One stream of news from wherever configuration comes: what to take into use, and what is wrong.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::future;
use std::sync::Arc;
use std::time::Duration;

use snapshot::GatewayId;
use snapshot::bundle::{Index, Joined};
use tokio::sync::{mpsc, watch};

use super::cluster::{Cluster, Told};
use super::last_good::LastGood;
use super::manifests::{Folder, LoadError};
use super::mounted::Volume;
use super::objects::{Objects, loaded};
use super::ratchet::{Refusal, Served, judge, wants};
use super::{Certainty, Loaded, Place, Places, Wanted};
use crate::clock::Instant;

/// How long a start waits for the API server's word on what is current.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is wrong with a place that holds no index.
const NO_INDEX: &str = "there is no index";

/// What there is to know.
#[derive(Debug)]
pub enum News {
    /// To be taken into use; whatever was wrong is over.
    Take(Box<Loaded>),
    /// A load brought nothing; what is in use stays. All that is wrong now.
    Failed(String),
    /// Nothing was loaded; all that is wrong now.
    Trouble(Option<String>),
}

/// Where configuration comes from, opened.
pub enum Supply {
    /// A folder of manifests.
    Manifests {
        /// The folder.
        folder: Box<Folder>,
        /// How it looked when it was last read.
        seen: Option<Vec<u8>>,
    },
    /// A bundle.
    Bundle(Box<Bundle>),
}

impl Supply {
    /// Opens it and reads what is there. News of a bundle may be none: it has not come yet.
    ///
    /// # Errors
    /// A folder of manifests that gives no configuration.
    pub fn open(wanted: &Wanted, certainty: Arc<Certainty>) -> Result<(Self, Vec<News>), LoadError> {
        match wanted {
            Wanted::Manifests { folder, env, gateway } => {
                let mut folder = Box::new(Folder::new(folder.clone(), env.clone(), gateway.clone()));
                let seen = Some(folder.seen());
                let first = News::Take(Box::new(folder.load()?));
                certainty.settle();
                Ok((Self::Manifests { folder, seen }, vec![first]))
            }
            Wanted::Bundle(places) => {
                let mut bundle = Box::new(Bundle::open(places, certainty));
                let news = bundle.news.drain(..).collect();
                Ok((Self::Bundle(bundle), news))
            }
        }
    }

    /// Waits for the next. Whoever asks has followed all that came before. May be dropped and asked again.
    pub async fn next(&mut self) -> News {
        match self {
            Self::Manifests { folder, seen } => {
                folder.changed(seen).await;
                match folder.load() {
                    Ok(loaded) => News::Take(Box::new(loaded)),
                    Err(error) => News::Failed(error.to_string()),
                }
            }
            Self::Bundle(bundle) => bundle.next().await,
        }
    }
}

/// A bundle that may lie in several places; the newest whole one is served.
pub struct Bundle {
    gateway: GatewayId,
    volume: Option<Volume>,
    last_good: Option<LastGood>,
    told: Option<mpsc::Receiver<Told>>,
    served: watch::Sender<Option<Served>>,
    certainty: Arc<Certainty>,
    waiting: Waiting,
    /// What is wrong, by place.
    troubles: BTreeMap<Place, String>,
    news: VecDeque<News>,
}

/// What a start waits for before it lets the process be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Nothing any more, for good.
    No,
    /// The API server's word on what is current, until then.
    ForWord(Instant),
    /// What the API server has and cannot be taken yet, for as long as it answers so.
    ForNewer,
}

enum Happening {
    Volume,
    Told(Box<Told>),
    OutOfPatience,
}

impl Bundle {
    fn open(places: &Places, certainty: Arc<Certainty>) -> Self {
        let mut bundle = Self {
            gateway: places.gateway.clone(),
            volume: places.volume.clone().map(Volume::new),
            last_good: places.last_good.clone().map(LastGood::new),
            told: None,
            served: watch::Sender::new(None),
            waiting: Waiting::No,
            certainty,
            troubles: BTreeMap::new(),
            news: VecDeque::new(),
        };
        let (sender, told) = mpsc::channel(4);
        let mut cluster = places.api.clone().map(|api| Cluster::new(api, bundle.gateway.clone(), bundle.served.subscribe(), sender));
        if let Some(cluster) = &mut cluster {
            bundle.told = Some(told);
            bundle.waiting = Waiting::ForWord(bundle.certainty.clock.now() + PATIENCE);
            bundle.certainty.confirm();
            bundle.start_from_files(|index, objects| cluster.hold(index, objects));
        } else {
            bundle.start_from_files(|_, _| {});
        }
        if let Some(cluster) = cluster {
            tokio::spawn(cluster.follow_while_heard());
        }
        bundle
    }

    /// The whole bundle of the highest sequence among the files.
    fn start_from_files(&mut self, mut hold: impl FnMut(&Index, &Objects)) {
        let last_good = self.last_good.as_ref().map(LastGood::read).transpose();
        let volume = self.volume.as_mut().map(|volume| volume.read(&self.gateway)).transpose();
        let mut found = Vec::new();
        for (place, read) in [(Place::LastGood, last_good), (Place::Volume, volume)] {
            match read.map(Option::flatten) {
                Ok(Some(objects)) => found.push((place, objects)),
                Ok(None) => {}
                Err(error) => self.trouble(place, Some(error.to_string())),
            }
        }
        if found.is_empty() && self.told.is_none() {
            self.trouble(Place::Volume, Some(NO_INDEX.to_owned()));
        }
        found.sort_by_key(|(_, objects)| Reverse(objects.index(&self.gateway).map_or(0, |index| index.sequence)));
        for (place, objects) in found {
            let judged = judge(&self.gateway, self.served.borrow().as_ref(), &objects);
            match judged {
                Ok(Some(joined)) => {
                    hold(&joined.index, &objects);
                    self.take(place, joined, objects);
                }
                Ok(None) => {}
                Err(Refusal::Older { .. }) if self.may_lag(place) => {}
                Err(refusal) => self.trouble(place, Some(refusal.to_string())),
            }
        }
    }

    async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            // Only now: what was found is in use.
            if self.waiting == Waiting::No {
                self.certainty.settle();
            }
            match self.happening().await {
                Happening::Volume => self.look_at_volume(),
                Happening::Told(told) => self.hear(*told),
                Happening::OutOfPatience => self.waiting = Waiting::No,
            }
        }
    }

    async fn happening(&mut self) -> Happening {
        let Self { volume, told, waiting, .. } = self;
        let changed = async {
            match volume {
                Some(volume) => volume.changed().await,
                None => future::pending().await,
            }
        };
        let hearing = async {
            match told {
                Some(told) => told.recv().await,
                None => None,
            }
        };
        let patience = async {
            match waiting {
                Waiting::ForWord(until) => tokio::time::sleep_until(*until).await,
                Waiting::No | Waiting::ForNewer => future::pending().await,
            }
        };
        tokio::select! {
            Some(told) = hearing => Happening::Told(Box::new(told)),
            () = changed => Happening::Volume,
            () = patience => Happening::OutOfPatience,
        }
    }

    fn look_at_volume(&mut self) {
        let Some(volume) = &mut self.volume else { return };
        let trouble = match volume.read(&self.gateway) {
            Ok(Some(objects)) => {
                let judged = judge(&self.gateway, self.served.borrow().as_ref(), &objects);
                match judged {
                    Ok(Some(joined)) => return self.take(Place::Volume, joined, objects),
                    Ok(None) => None,
                    Err(Refusal::Older { .. }) if self.may_lag(Place::Volume) => None,
                    Err(refusal) => Some(refusal.to_string()),
                }
            }
            Ok(None) if self.told.is_some() => None,
            Ok(None) => Some(NO_INDEX.to_owned()),
            Err(error) => Some(error.to_string()),
        };
        self.trouble(Place::Volume, trouble);
    }

    /// Whether it is no trouble that this place is behind. The kubelet is slower than the API server.
    fn may_lag(&self, place: Place) -> bool {
        place == Place::LastGood || self.told.is_some()
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Offer(offer) => {
                let (joined, objects) = *offer;
                self.confirmed();
                // The volume may have brought it in between.
                if wants(self.served.borrow().as_ref(), &joined.index) == Ok(true) {
                    self.take(Place::Api, joined, objects);
                }
            }
            Told::Same => {
                self.confirmed();
                self.trouble(Place::Api, None);
            }
            Told::Absent => {
                self.waiting = Waiting::No;
                self.trouble(Place::Api, Some(NO_INDEX.to_owned()));
            }
            Told::Refused(refusal) => {
                match &refusal {
                    Refusal::Older { .. } | Refusal::Forked { .. } => self.waiting = Waiting::No,
                    Refusal::Torn(_) => self.behind(),
                }
                self.trouble(Place::Api, Some(refusal.to_string()));
            }
            Told::Parts(error) => {
                self.behind();
                self.trouble(Place::Api, Some(error.to_string()));
            }
            Told::Silent(error) => {
                // To be refused is an answer, though it says nothing: rights may come a moment after the pod.
                if !error.is_status(&[401, 403]) {
                    self.waiting = Waiting::No;
                }
                self.trouble(Place::Api, Some(error.to_string()));
            }
        }
    }

    fn confirmed(&mut self) {
        self.waiting = Waiting::No;
        self.certainty.confirm();
    }

    /// The API server has something newer than what is in use. A start waits for that.
    fn behind(&mut self) {
        if self.waiting != Waiting::No {
            self.waiting = Waiting::ForNewer;
        }
    }

    /// Makes it what is served, and what a start of the next container begins with.
    fn take(&mut self, place: Place, joined: Joined, mut objects: Objects) {
        self.served.send_replace(Some(Served::of(&joined.index)));
        objects.keep_named(&joined.index);
        self.news.push_back(News::Take(Box::new(loaded(joined, place))));
        self.troubles.remove(&place);
        if !self.troubles.is_empty() {
            self.news.push_back(News::Trouble(self.all_troubles()));
        }
        if let Some(last_good) = self.last_good.as_ref().filter(|_| place != Place::LastGood) {
            let kept = last_good.write(&objects);
            self.trouble(Place::LastGood, kept.err().map(|error| format!("cannot be kept: {error}")));
        }
    }

    /// Notes what is wrong in a place, or that nothing is, and tells it when that is new.
    fn trouble(&mut self, place: Place, trouble: Option<String>) {
        let before = match &trouble {
            Some(text) => self.troubles.insert(place, text.clone()),
            None => self.troubles.remove(&place),
        };
        if before == trouble {
            return;
        }
        let all = self.all_troubles();
        self.news.push_back(match (trouble, all) {
            (Some(_), Some(all)) => News::Failed(all),
            (_, all) => News::Trouble(all),
        });
    }

    fn all_troubles(&self) -> Option<String> {
        let lines = self.troubles.iter().map(|(place, text)| format!("{}: {text}", place.word()));
        Some(lines.collect::<Vec<_>>().join("; ")).filter(|all| !all.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use snapshot::bundle::Torn;

    use super::super::apiserver::ApiError;
    use super::*;
    use crate::clock::Clock;

    /// A start that asks an API server which tells what the test says.
    fn start() -> (Bundle, mpsc::Sender<Told>) {
        let (sender, told) = mpsc::channel(8);
        let gateway = GatewayId::new("default", "portolan").expect("a name");
        let places = Places { gateway, volume: None, last_good: None, api: None };
        let mut bundle = Bundle::open(&places, Arc::new(Certainty::new(Clock::default())));
        bundle.news.clear();
        bundle.troubles.clear();
        bundle.told = Some(told);
        bundle.waiting = Waiting::ForWord(bundle.certainty.clock.now() + PATIENCE);
        bundle.certainty.confirm();
        (bundle, sender)
    }

    /// Whether it is settled so long after what it was told.
    async fn settled(told: Vec<Told>, after: Duration) -> bool {
        let (mut bundle, sender) = start();
        for one in told {
            sender.send(one).await.expect("it listens");
        }
        let following = async {
            loop {
                bundle.next().await;
            }
        };
        assert!(tokio::time::timeout(after, following).await.is_err());
        bundle.certainty.settled()
    }

    fn status(status: u16) -> ApiError {
        ApiError::Status { status, message: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_waits_for_a_word_of_the_api_server_but_not_for_ever() {
        let (soon, later, long) = (PATIENCE / 2, PATIENCE * 2, PATIENCE * 1000);
        assert!(!settled(vec![], soon).await);
        assert!(settled(vec![], later).await, "nothing was told");
        for answer in [Told::Same, Told::Absent, Told::Silent(ApiError::Slow), Told::Silent(status(503))] {
            let text = format!("{answer:?}");
            assert!(settled(vec![answer], soon).await, "{text}");
        }
        for denied in [401, 403] {
            assert!(!settled(vec![Told::Silent(status(denied))], soon).await);
            assert!(settled(vec![Told::Silent(status(denied))], later).await);
        }
        let torn = || Told::Refused(Refusal::Torn(Torn::GatewayMissing));
        assert!(!settled(vec![torn()], long).await, "it is newer, and the API server answers");
        assert!(!settled(vec![Told::Parts(status(503))], long).await, "the index was told");
        assert!(!settled(vec![torn(), Told::Silent(status(403))], long).await);
        assert!(settled(vec![torn(), Told::Silent(ApiError::Slow)], soon).await, "it answers no more");
        let older = Told::Refused(Refusal::Older { offered: 1, served: 2 });
        assert!(settled(vec![older], soon).await, "what is in use is newer");
    }

    #[tokio::test(start_paused = true)]
    async fn certainty_ages_until_the_api_server_confirms() {
        let (mut bundle, sender) = start();
        tokio::time::advance(Duration::from_secs(70)).await;
        assert_eq!(bundle.certainty.confirmed_age_seconds(), Some(70), "counted from the start");
        for (told, age) in [(Told::Silent(ApiError::Slow), 70), (Told::Absent, 70), (Told::Same, 0)] {
            sender.send(told).await.expect("it listens");
            bundle.next().await;
            assert_eq!(bundle.certainty.confirmed_age_seconds(), Some(age));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_trouble_is_told_once() {
        let (mut bundle, sender) = start();
        for told in [Told::Absent, Told::Absent, Told::Silent(ApiError::Slow), Told::Same, Told::Same] {
            sender.send(told).await.expect("it listens");
        }
        drop(sender);
        assert!(matches!(bundle.next().await, News::Failed(all) if all == "the API server: there is no index"));
        assert!(matches!(bundle.next().await, News::Failed(all) if all.contains("in time")));
        assert!(matches!(bundle.next().await, News::Trouble(None)));
        let silence = tokio::time::timeout(PATIENCE * 10, bundle.next()).await;
        assert!(silence.is_err(), "{silence:?}");
    }
}
