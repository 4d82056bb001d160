//! Bad input over real HTTP: callbacks that nobody but an attacker or a broken proxy sends, and sends whose fields are
//! wrong. Each is answered as the documents say, and the service goes on.

mod callbacks;
mod craft;
mod sends;
