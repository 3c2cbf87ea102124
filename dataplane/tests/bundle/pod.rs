//! A process as far as its configuration goes: asks the supply for news and follows them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dataplane::clock::Clock;
use dataplane::source::supply::{News, Supply};
use dataplane::source::{Certainty, Loaded, Place, Places, Wanted};

use crate::apiserver::Api;
use crate::published::{gateway, model};

/// Ends a hung test; proves nothing.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Pod {
    supply: Supply,
    pub certainty: Arc<Certainty>,
    /// What is in use.
    pub loaded: Option<Loaded>,
    /// Every sequence that was ever taken, in order.
    pub taken: Vec<u64>,
    /// All that is wrong.
    pub trouble: Option<String>,
    /// Loads that brought nothing.
    pub failed: usize,
}

/// Places with nothing in them.
pub fn nowhere() -> Places {
    Places { gateway: gateway(), volume: None, last_good: None, api: None }
}

pub fn on_volume(volume: &Path) -> Places {
    Places { volume: Some(volume.to_owned()), ..nowhere() }
}

pub fn on_api(api: &Api) -> Places {
    Places { api: Some(api.server()), ..nowhere() }
}

impl Pod {
    pub fn start(places: Places) -> Self {
        let certainty = Arc::new(Certainty::new(Clock::default()));
        let (supply, news) = Supply::open(&Wanted::Bundle(places), certainty.clone()).expect("a bundle never fails to open");
        let mut pod = Self { supply, certainty, loaded: None, taken: Vec::new(), trouble: None, failed: 0 };
        news.into_iter().for_each(|news| pod.follow(news));
        pod
    }

    fn follow(&mut self, news: News) {
        match news {
            News::Take(loaded) => {
                self.taken.extend(loaded.sequence);
                self.trouble = None;
                self.loaded = Some(*loaded);
            }
            News::Failed(trouble) => {
                self.failed += 1;
                self.trouble = Some(trouble);
            }
            News::Trouble(trouble) => self.trouble = trouble,
        }
    }

    /// Follows news until something is so.
    pub async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !so(self) {
                // A tick as well: what is settled is no news.
                tokio::select! {
                    news = self.supply.next() => self.follow(news),
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
            }
        });
        if waited.await.is_err() {
            panic!("waited in vain until {what}; taken {:?}, trouble {:?}", self.taken, self.trouble);
        }
    }

    pub async fn until_serves(&mut self, model: &str) {
        self.until(&format!("{model} is served"), |pod| pod.serves() == model).await;
    }

    pub async fn until_trouble(&mut self, part: &str) {
        self.until(&format!("it tells of {part}"), |pod| pod.trouble.as_ref().is_some_and(|trouble| trouble.contains(part))).await;
    }

    pub async fn until_well(&mut self) {
        self.until("all is well", |pod| pod.trouble.is_none()).await;
    }

    pub async fn until_settled(&mut self) {
        self.until("it is settled", |pod| pod.certainty.settled()).await;
    }

    /// The model of the revision in use.
    pub fn serves(&self) -> String {
        self.loaded.as_ref().map_or_else(String::new, |loaded| model(&loaded.snapshot))
    }

    pub fn place(&self) -> Option<Place> {
        self.loaded.as_ref().map(|loaded| loaded.place)
    }
}
