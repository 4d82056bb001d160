//! The SHA-1 signature of URL verification and pushes: used to check what arrives, and by simulators to sign what they send.
//!
//! Source: official page "消息推送" (message-push.html). The parts are sorted **as byte strings** and joined without a
//! separator; the answer is lower-case hexadecimal. `signature` is over {Token, timestamp, nonce}; `msg_signature` is over
//! {Token, timestamp, nonce, Encrypt}.

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// Gives the lower-case hexadecimal SHA-1 (40 characters) over the byte-sorted concatenation of `parts`.
///
/// The order of `parts` is of no consequence. Source: official page "消息推送".
pub fn sign(parts: &[&str]) -> String {
    let mut sorted: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for part in sorted {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// Tells whether `given` is the signature of `parts`, in constant time.
///
/// Only the exact lower-case form that WeChat sends matches; anything of another length does not.
pub fn matches(parts: &[&str], given: &str) -> bool {
    bool::from(sign(parts).as_bytes().ct_eq(given.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{matches, sign};

    #[test]
    fn order_is_by_bytes_not_by_number() {
        // "1714037059" < "486452656" < "AAAAA": the plaintext push of the official page.
        let expected = "899cf89e464efb63f54ddac96b0a0a235f53aa78";
        assert_eq!(sign(&["AAAAA", "486452656", "1714037059"]), expected);
        assert!(matches(&["1714037059", "AAAAA", "486452656"], expected));
    }

    #[test]
    fn anything_else_does_not_match() {
        let parts = ["AAAAA", "486452656", "1714037059"];
        let right = sign(&parts);
        assert!(!matches(&parts, ""));
        assert!(!matches(&parts, &right.to_uppercase()));
        assert!(!matches(&parts, &right[..39]));
        assert!(!matches(&parts, &format!("{right}0")));
        assert!(!matches(&["AAAAB", "486452656", "1714037059"], &right));
    }
}
