//! AES-256-CBC encryption of pushes and replies (安全模式, 兼容模式): used by [`open`](super::open), by
//! [`reply`](super::reply), and by simulators that play WeChat.
//!
//! Source: official page "消息推送" (message-push.html). Key = base64(EncodingAESKey + `=`), 32 bytes; IV = its first 16
//! bytes; plain text = 16 random bytes, length of the message (4 bytes, big endian), message, AppID; PKCS#7 padding to
//! blocks of **32**; the result in standard base64.
//!
//! Encryption is not authentication: decrypt only what bears the right `msg_signature`.

use std::fmt;

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use zeroize::Zeroizing;

/// Characters of an EncodingAESKey (official page "消息推送").
const KEY_CHARACTERS: usize = 43;
/// WeChat pads to this many bytes, although the cipher's own block is 16.
const PAD_BLOCK: usize = 32;
const RANDOM: usize = 16;
const HEADER: usize = RANDOM + 4;
/// What WeChat's console takes for an EncodingAESKey: letters and digits only.
const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The 43rd character carries two spare bits, which are often not zero.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// An EncodingAESKey (消息加密密钥): 43 characters that stand for 32 bytes.
///
/// Wiped when dropped; `Debug` shows no part of it.
#[derive(Clone)]
pub struct EncodingAesKey {
    text: Zeroizing<String>,
    bytes: Zeroizing<[u8; 32]>,
}

/// Why a text is not an EncodingAESKey. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has this many characters instead of 43.
    #[error("an EncodingAESKey has 43 characters, this one has {0}")]
    Length(usize),
    /// It holds a character that base64 does not know.
    #[error("an EncodingAESKey consists of letters and digits only")]
    Character,
}

/// Why a text could not be decrypted. Never holds the text or the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// `Encrypt` is not standard base64.
    #[error("the encrypted text is not base64")]
    NotBase64,
    /// The ciphertext is empty or not a whole number of AES blocks.
    #[error("the encrypted text is not a whole number of cipher blocks")]
    Length,
    /// The padding is not 1 to 32 equal bytes: another key, or garbage.
    #[error("the padding of the decrypted text is broken")]
    Padding,
    /// The length field points outside of the decrypted text.
    #[error("the length field of the decrypted text is broken")]
    MessageLength,
    /// The trailing AppID is not UTF-8.
    #[error("the AppID in the decrypted text is not text")]
    AppId,
}

/// What stood in an encrypted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// The message, as bytes of JSON or XML.
    pub message: Vec<u8>,
    /// The trailing AppID. Compare it with your own (or, for a third-party platform, with the component's).
    pub app_id: String,
}

impl EncodingAesKey {
    /// Reads the 43 characters of WeChat's console.
    ///
    /// Non-zero spare bits in the last character are allowed, as Tencent's own sample key has them.
    ///
    /// # Errors
    /// [`KeyError`] for another length or a character outside base64.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let count = text.chars().count();
        if count != KEY_CHARACTERS {
            return Err(KeyError::Length(count));
        }
        let mut bytes = Zeroizing::new([0_u8; 32]);
        // A multiple of three is the scratch space the decoder wants.
        let mut scratch = Zeroizing::new([0_u8; 36]);
        match KEY_BASE64.decode_slice(text, scratch.as_mut_slice()) {
            Ok(32) => bytes.copy_from_slice(&scratch[..32]),
            _ => return Err(KeyError::Character),
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), bytes })
    }

    /// Makes a new key from 32 random bytes.
    ///
    /// WeChat's console takes letters and digits only, so the bytes are written as a number of base 62, which just fits:
    /// 62^43 is greater than 2^256. Different bytes give different texts. (Base64 drops two bits of the last
    /// character, so up to four of them share one AES key; that costs nothing.)
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let number = Zeroizing::new(bytes);
        let mut text = Zeroizing::new(String::with_capacity(KEY_CHARACTERS));
        let mut digits = number.clone();
        for _ in 0..KEY_CHARACTERS {
            let mut rest: u16 = 0;
            for digit in digits.iter_mut() {
                let value = (rest << 8) | u16::from(*digit);
                *digit = (value / 62) as u8;
                rest = value % 62;
            }
            text.push(char::from(ALPHANUMERIC[usize::from(rest)]));
        }
        let mut key = Zeroizing::new([0_u8; 32]);
        let mut scratch = Zeroizing::new([0_u8; 36]);
        // Cannot fail: 43 characters of the base64 alphabet are 32 bytes. If it could, the raw bytes would still be a key.
        match KEY_BASE64.decode_slice(text.as_bytes(), scratch.as_mut_slice()) {
            Ok(32) => key.copy_from_slice(&scratch[..32]),
            _ => key.copy_from_slice(number.as_slice()),
        }
        Self { text, bytes: key }
    }

    /// Gives the 43 characters, for WeChat's console or for encrypted storage. Never log them.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Encrypts `message` and gives standard base64, as WeChat does.
    ///
    /// `random` are 16 fresh random bytes (WeChat itself uses 16 lower-case hexadecimal characters; any bytes do);
    /// `app_id` is the AppID of the receiver's configuration. Messages above 4 GiB do not occur.
    pub fn encrypt(&self, random: [u8; 16], message: &[u8], app_id: &str) -> String {
        let used = HEADER + message.len() + app_id.len();
        let pad = PAD_BLOCK - used % PAD_BLOCK;
        let mut buffer = Vec::with_capacity(used + pad);
        buffer.extend_from_slice(&random);
        buffer.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        buffer.extend_from_slice(message);
        buffer.extend_from_slice(app_id.as_bytes());
        buffer.resize(used + pad, pad as u8);
        let mut cipher = cbc::Encryptor::<Aes256>::new(&Array(*self.bytes), &Array(self.iv()));
        let (blocks, _) = Array::slice_as_chunks_mut(&mut buffer);
        cipher.encrypt_blocks(blocks);
        STANDARD.encode(buffer)
    }

    /// Decrypts what stands in `Encrypt`.
    ///
    /// # Errors
    /// [`CryptoError`], without any part of the text. Whether the AppID is the right one is for the caller to compare.
    pub fn decrypt(&self, encrypted_base64: &str) -> Result<Decrypted, CryptoError> {
        let mut buffer = STANDARD.decode(encrypted_base64).map_err(|_| CryptoError::NotBase64)?;
        if buffer.is_empty() || buffer.len() % 16 != 0 {
            return Err(CryptoError::Length);
        }
        let mut cipher = cbc::Decryptor::<Aes256>::new(&Array(*self.bytes), &Array(self.iv()));
        let (blocks, _) = Array::slice_as_chunks_mut(&mut buffer);
        cipher.decrypt_blocks(blocks);
        split(&buffer)
    }

    fn iv(&self) -> [u8; 16] {
        let mut iv = [0_u8; 16];
        iv.copy_from_slice(&self.bytes[..16]);
        iv
    }
}

impl fmt::Debug for EncodingAesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodingAesKey([redacted])")
    }
}

/// Takes random, length, message, AppID and padding apart.
fn split(plain: &[u8]) -> Result<Decrypted, CryptoError> {
    let pad = plain.last().copied().map_or(0, usize::from);
    if pad == 0 || pad > PAD_BLOCK || pad > plain.len() {
        return Err(CryptoError::Padding);
    }
    let (content, padding) = plain.split_at(plain.len() - pad);
    if padding.iter().any(|byte| usize::from(*byte) != pad) {
        return Err(CryptoError::Padding);
    }
    let (_random, rest) = content.split_at_checked(RANDOM).ok_or(CryptoError::MessageLength)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(CryptoError::MessageLength)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| CryptoError::MessageLength)?;
    let (message, app_id) = rest.split_at_checked(length).ok_or(CryptoError::MessageLength)?;
    let app_id = std::str::from_utf8(app_id).map_err(|_| CryptoError::AppId)?;
    Ok(Decrypted { message: message.to_vec(), app_id: app_id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> EncodingAesKey {
        EncodingAesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap()
    }

    #[test]
    fn keys_of_the_wrong_form_are_refused() {
        assert_eq!(EncodingAesKey::parse("abc").unwrap_err(), KeyError::Length(3));
        assert_eq!(EncodingAesKey::parse(&"a".repeat(44)).unwrap_err(), KeyError::Length(44));
        assert_eq!(EncodingAesKey::parse(&"-".repeat(43)).unwrap_err(), KeyError::Character);
        assert_eq!(EncodingAesKey::parse(&"钥".repeat(43)).unwrap_err(), KeyError::Character);
        assert_eq!(EncodingAesKey::parse(&format!("{}=", "a".repeat(42))).unwrap_err(), KeyError::Character);
    }

    #[test]
    fn a_random_key_is_letters_and_digits_and_reads_back() {
        for seed in [[0; 32], [255; 32], *b"0123456789abcdef0123456789abcdef"] {
            let made = EncodingAesKey::from_random(seed);
            assert_eq!(made.expose().len(), 43);
            assert!(made.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(EncodingAesKey::parse(made.expose()).unwrap().bytes, made.bytes);
        }
        let (a, b) = (EncodingAesKey::from_random([1; 32]), EncodingAesKey::from_random([2; 32]));
        assert_ne!(a.expose(), b.expose());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", key()), "EncodingAesKey([redacted])");
    }

    #[test]
    fn broken_texts_are_refused() {
        assert_eq!(key().decrypt("***").unwrap_err(), CryptoError::NotBase64);
        assert_eq!(key().decrypt("").unwrap_err(), CryptoError::Length);
        assert_eq!(key().decrypt("YWJj").unwrap_err(), CryptoError::Length);
        let other = EncodingAesKey::from_random([7; 32]);
        let text = other.encrypt([9; 16], b"hello", "wx1");
        assert!(key().decrypt(&text).is_err());
    }

    #[test]
    fn broken_contents_are_refused() {
        assert_eq!(split(&[0; 32]).unwrap_err(), CryptoError::Padding);
        assert_eq!(split(&[33; 64]).unwrap_err(), CryptoError::Padding);
        assert_eq!(split(&[20; 16]).unwrap_err(), CryptoError::Padding);
        let mut uneven = vec![2; 32];
        uneven[30] = 3;
        assert_eq!(split(&uneven).unwrap_err(), CryptoError::Padding);
        assert_eq!(split(&[32; 32]).unwrap_err(), CryptoError::MessageLength);
        let mut long = vec![0; 28];
        long[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        long.extend([4; 4]);
        assert_eq!(split(&long).unwrap_err(), CryptoError::MessageLength);
        let mut not_text = vec![0; 24];
        not_text.extend([0xff; 4]);
        not_text.extend([4; 4]);
        assert_eq!(split(&not_text).unwrap_err(), CryptoError::AppId);
    }
}
