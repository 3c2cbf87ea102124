//! The nouns that rooms hand to each other. Data only: whoever decides something sits in a room.

mod answer;
mod body;
mod call;
mod grant;
mod outcome;
mod plan;
mod portkey;
mod refusal;
mod stored;
mod through;
mod unkept;
mod websocket;

pub use answer::{Answer, Broken, Link, Raw, Room, Session, Source, Streaming};
pub use body::{Body, FormBody, Kept};
pub use call::{Call, CallId, ClientRequestId};
pub use grant::Grant;
pub use outcome::{Ending, Outcome};
pub use plan::{Attempt, Plan, Unanswered};
pub use portkey::Portkey;
pub use refusal::Refusal;
pub use stored::{Bound, Deed, Listing, Stored, Wanted};
pub use through::Through;
pub use unkept::Unkept;
pub use websocket::websocket_accept;
