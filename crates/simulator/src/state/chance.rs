//! Randomness: secrets straight from the entropy given, and cheap numbers that need not be secret (rids,
//! nonces, msgids) from a seeded counter, since a send must not wait for the system.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use crate::Entropy;

pub(crate) struct Chance {
    entropy: Entropy,
    counter: AtomicU64,
    msgid: AtomicU64,
}

impl Chance {
    pub(crate) fn new(entropy: Entropy) -> Self {
        let mut seed = [0; 8];
        entropy(&mut seed);
        let seed = u64::from_be_bytes(seed);
        // Real msgids look like 3248682510344192008: far above 2^53, below 2^63.
        let msgid = 3_200_000_000_000_000_000 + (seed >> 8);
        Self { entropy, counter: AtomicU64::new(seed), msgid: AtomicU64::new(msgid) }
    }

    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        (self.entropy)(buffer);
    }

    /// Not secret: splitmix64 over a counter.
    pub(crate) fn number(&self) -> u64 {
        let mut z = self.counter.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Unique and rising; odd steps so that a reader who rounds to a double is caught.
    pub(crate) fn msgid(&self) -> u64 {
        self.msgid.fetch_add(1_048_577, Ordering::Relaxed)
    }

    /// ` rid: xxxxxxxx-xxxxxxxx-xxxxxxxx`, the first part the time as WeChat has it.
    pub(crate) fn rid(&self, now_ms: i64) -> String {
        let n = self.number();
        let seconds = u32::try_from(now_ms / 1000).unwrap_or_default();
        format!(" rid: {seconds:08x}-{:08x}-{:08x}", n >> 32, n & 0xffff_ffff)
    }

    /// A nonce as WeChat's pushes carry it: decimal digits.
    pub(crate) fn nonce(&self) -> String {
        (self.number() % 2_000_000_000).to_string()
    }

    /// 16 lower-case hex digits: the random part of WeChat's own ciphertexts.
    pub(crate) fn prefix(&self) -> [u8; 16] {
        let mut random = [0; 8];
        self.fill(&mut random);
        let mut out = [0; 16];
        for (two, byte) in out.chunks_exact_mut(2).zip(random) {
            two.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
        out
    }

    /// `o` and 27 more characters.
    pub(crate) fn openid(&self) -> String {
        let mut text = String::from("o");
        text.push_str(&self.text::<21>());
        text.truncate(28);
        text
    }

    /// As long as WeChat's are (136 characters).
    pub(crate) fn access_token(&self) -> String {
        format!("96_{}", self.text::<100>())
    }

    /// A code of `wx.login`.
    pub(crate) fn code(&self) -> String {
        format!("0{}", self.text::<24>())
    }

    pub(crate) fn session_key(&self) -> String {
        let mut random = [0; 16];
        self.fill(&mut random);
        STANDARD.encode(random)
    }

    /// 43 characters, as a priTmplId has.
    pub(crate) fn template_id(&self) -> String {
        self.text::<32>()
    }

    fn text<const N: usize>(&self) -> String {
        let mut random = [0; N];
        self.fill(&mut random);
        URL_SAFE_NO_PAD.encode(random)
    }
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}
