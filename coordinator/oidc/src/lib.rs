//! Tokens of an OpenID Connect issuer: signed JWTs that say who somebody is and in which groups.
//!
//! ```text
//!   token ──▶ jws ─────▶ keys ─────▶ signature ─────▶ claims ─────▶ Subject
//!             which key   that key    is it right?     of whom, for whom,
//!             and how     ▲                            until when
//!                         │
//!                 issuer ─┘ every few minutes, and for a key that is not known yet
//! ```
//!
//! Whatever stands in a token was written by somebody else: sizes are bounded, names have printable ASCII characters alone, and nothing
//! is believed before the signature is checked, with a key that the issuer publishes and by the algorithm that this key is for. Only
//! signatures with public keys are known here, so neither `none` nor an HMAC can be a way in.

mod claims;
mod issuer;
mod jws;
mod keys;
mod known;
#[cfg(test)]
mod tests;

pub use claims::Expected;
pub use issuer::{Issuer, IssuerConfig};
