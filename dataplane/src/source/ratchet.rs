//! The rule by which a bundle takes the place of another: whole, this gateway's, and of a higher sequence. It never goes
//! back.

use snapshot::GatewayId;
use snapshot::bundle::{Index, Joined, Torn};

use super::objects::Objects;

/// What is served, as later offers are compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    /// Its sequence.
    pub sequence: u64,
    /// Its digest.
    pub digest: String,
}

/// How an index stands to what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It names something newer, or nothing is served yet.
    Newer,
    /// It names what is served.
    Same,
    /// It names something older.
    Older,
    /// It names something else under the same sequence.
    Forked,
}

/// Why an offer does not take the place of what is served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It is not whole, or not for this gateway or this version.
    #[error(transparent)]
    Torn(#[from] Torn),
    /// What is served is newer.
    #[error("its sequence {offered} is older than {served}, which is in use; a gateway never goes back")]
    Older {
        /// The offer's.
        offered: u64,
        /// Ours.
        served: u64,
    },
    /// Two histories.
    #[error("it has the sequence {sequence} of what is in use, and is another configuration")]
    Forked {
        /// Of both.
        sequence: u64,
    },
}

impl Served {
    /// What an index names, once it is served.
    pub(super) fn of(index: &Index) -> Self {
        Self { sequence: index.sequence, digest: index.digest.clone() }
    }
}

/// Compares.
pub(super) fn standing(served: Option<&Served>, index: &Index) -> Standing {
    let Some(served) = served else { return Standing::Newer };
    match index.sequence.cmp(&served.sequence) {
        std::cmp::Ordering::Greater => Standing::Newer,
        std::cmp::Ordering::Less => Standing::Older,
        std::cmp::Ordering::Equal if index.digest == served.digest => Standing::Same,
        std::cmp::Ordering::Equal => Standing::Forked,
    }
}

/// Whether an index says that something is to be taken; needs no part.
pub(super) fn wants(served: Option<&Served>, index: &Index) -> Result<bool, Refusal> {
    match standing(served, index) {
        Standing::Newer => Ok(true),
        Standing::Same => Ok(false),
        Standing::Older => Err(Refusal::Older { offered: index.sequence, served: served.map_or(0, |served| served.sequence) }),
        Standing::Forked => Err(Refusal::Forked { sequence: index.sequence }),
    }
}

/// Judges an offer: what to take into use, or `None` when that is in use already.
pub(super) fn judge(gateway: &GatewayId, served: Option<&Served>, objects: &Objects) -> Result<Option<Joined>, Refusal> {
    let index = objects.index(gateway)?;
    if !wants(served, &index)? {
        return Ok(None);
    }
    Ok(Some(objects.join(gateway)?))
}
