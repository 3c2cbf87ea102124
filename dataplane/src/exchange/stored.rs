//! What is asked of objects that a provider keeps: files, responses.

use http::Method;
use snapshot::Surface;

use crate::seal::{Kind, Place, Seals};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// One is sent.
    Send,
    /// Those of the tenant are listed.
    List(Listing),
    /// One is looked at.
    Look,
    /// What is in one is read.
    Read,
    /// One is deleted.
    Delete,
    /// What a response answers is listed.
    Items,
    /// A response under way is ended.
    Cancel,
}

impl Deed {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Send | Self::Cancel => Method::POST,
            Self::List(_) | Self::Look | Self::Read | Self::Items => Method::GET,
            Self::Delete => Method::DELETE,
        }
    }

    /// What stands behind the id in a path.
    #[must_use]
    pub fn below(&self) -> &'static str {
        match self {
            Self::Send | Self::List(_) | Self::Look | Self::Delete => "",
            Self::Read => "/content",
            Self::Items => "/input_items",
            Self::Cancel => "/cancel",
        }
    }
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// At most so many.
    pub limit: usize,
    /// Those behind this one; as the client wrote it, sealed.
    pub after: Option<String>,
}

/// A wish as the head of a request tells it.
#[derive(Debug)]
pub struct Wanted {
    /// By which door.
    pub surface: Surface,
    /// What is to be done.
    pub deed: Deed,
    /// With which; as the client wrote it, sealed.
    pub id: Option<String>,
    /// Parameters of the query that are said to the provider as they are. Checked to be words.
    pub passed: Vec<(&'static str, String)>,
    /// The provider that a header of ours names.
    pub provider: Option<String>,
}

impl Wanted {
    /// What its ids name.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.surface == Surface::Responses { Kind::Response } else { Kind::File }
    }
}

/// The same, with the seal broken by its owner.
#[derive(Debug)]
pub struct Stored {
    /// As it was asked.
    pub wanted: Wanted,
    /// The provider's own id of the one, or of the one that a list begins behind.
    pub id: Option<Box<str>>,
    /// Seals what is answered.
    pub seals: Seals,
}

/// Where a call must go, because what it names is kept there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Where.
    pub place: Place,
    /// The field that names it, or the path.
    pub field: &'static str,
}
