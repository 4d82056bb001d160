//! Secrets at rest: AppSecrets, callback tokens and keys, access tokens are sealed with AES-256-GCM before they
//! reach a table. Used by every table module that stores one.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use domain::Entropy;
use domain::entropy::random_bytes;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::StoreError;

const VERSION: u8 = 1;
const HEADER: usize = 1 + KEY_ID + NONCE;
const KEY_ID: usize = 4;
const NONCE: usize = 12;

/// The key that seals every secret of an installation. Its id stands in each sealed value, so that a wrong key
/// is told from a damaged value and keys can be rotated.
#[derive(Clone)]
pub struct MasterKey {
    cipher: Aes256Gcm,
    /// For values that are found again without being opened; its key is derived from the same bytes.
    hashing: Hmac<Sha256>,
    id: [u8; KEY_ID],
    /// The key in whose place this one comes: it still opens what it sealed, and seals nothing.
    former: Option<Box<MasterKey>>,
}

/// The text is not 32 bytes in base64.
#[derive(Debug, thiserror::Error)]
#[error(
    "the master key must be 32 bytes in base64 (44 characters), as `openssl rand -base64 32` prints. \
     主密钥必须是 32 字节的 base64（44 个字符），可用 `openssl rand -base64 32` 生成。"
)]
pub struct BadMasterKey;

impl MasterKey {
    /// Reads `HONGYAN_MASTER_KEY`: 32 bytes in base64.
    ///
    /// # Errors
    /// [`BadMasterKey`] where it is anything else.
    pub fn parse(text: &SecretString) -> Result<Self, BadMasterKey> {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.expose_secret().trim())
            .map(Zeroizing::new)
            .map_err(|_| BadMasterKey)?;
        let bytes: Zeroizing<[u8; 32]> =
            Zeroizing::new(bytes.as_slice().try_into().map_err(|_| BadMasterKey)?);
        Ok(Self::from_bytes(&bytes))
    }

    /// Makes a new key and its text for the key file.
    pub fn generate(entropy: &dyn Entropy) -> (Self, SecretString) {
        let bytes = Zeroizing::new(random_bytes::<32>(entropy));
        let text = base64::engine::general_purpose::STANDARD.encode(*bytes);
        (Self::from_bytes(&bytes), SecretString::from(text))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"hongyan master key id").chain_update(bytes).finalize();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest[..KEY_ID]);
        let derived = Sha256::new().chain_update(b"hongyan keyed hash").chain_update(bytes).finalize();
        let hashing = <Hmac<Sha256> as KeyInit>::new(&block(&derived));
        Self { cipher: Aes256Gcm::new(bytes.into()), hashing, id, former: None }
    }

    /// This key in the place of `former`, to open a database for [`crate::Store::change_master_key`].
    #[must_use]
    pub fn in_place_of(mut self, former: Self) -> Self {
        self.former = Some(Box::new(former));
        self
    }

    /// The key that this one replaces.
    pub(crate) fn former(&self) -> Option<&Self> {
        self.former.as_deref()
    }

    /// The key's id, harmless to show.
    pub fn id(&self) -> String {
        hex::encode(self.id)
    }

    /// Seals `secret` for one place (`context`, such as `app.secret wx…`): a sealed value moved to another
    /// place does not open there.
    pub(crate) fn seal(&self, secret: &SecretString, context: &str, entropy: &dyn Entropy) -> Vec<u8> {
        self.seal_bytes(secret.expose_secret().as_bytes(), context, entropy)
    }

    /// As [`Self::seal`], for what need not be text.
    pub(crate) fn seal_bytes(&self, plain: &[u8], context: &str, entropy: &dyn Entropy) -> Vec<u8> {
        let nonce = random_bytes::<NONCE>(entropy);
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        // AES-GCM refuses only texts of many gigabytes; an empty ciphertext would not open again.
        let ciphertext = self.cipher.encrypt(&Nonce::from(nonce), payload).unwrap_or_default();
        [&[VERSION], self.id.as_slice(), &nonce, &ciphertext].concat()
    }

    /// A hash that nobody can compute without this key: equal values of one place have equal hashes.
    pub(crate) fn keyed_hash(&self, place: &str, value: &str) -> [u8; 32] {
        let mut mac = self.hashing.clone();
        // The length keeps place and value apart.
        mac.update(&(place.len() as u64).to_le_bytes());
        mac.update(place.as_bytes());
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether a value was sealed with this very key.
    pub(crate) fn sealed(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=KEY_ID).is_some_and(|id| *id == self.id)
    }

    /// Opens what [`Self::seal`] gave for the same place.
    pub(crate) fn open(&self, sealed: &[u8], context: &str) -> Result<SecretString, StoreError> {
        let plain = self.open_bytes(sealed, context)?;
        String::from_utf8(plain).map(SecretString::from).map_err(|_| StoreError::Sealed(context.to_owned()))
    }

    /// Opens what [`Self::seal_bytes`] gave for the same place.
    pub(crate) fn open_bytes(&self, sealed: &[u8], context: &str) -> Result<Vec<u8>, StoreError> {
        let fail = || StoreError::Sealed(context.to_owned());
        if sealed.len() < HEADER || sealed[0] != VERSION {
            return Err(fail());
        }
        if !self.sealed(sealed) {
            return self.former().map_or_else(|| Err(fail()), |former| former.open_bytes(sealed, context));
        }
        let nonce: [u8; NONCE] = sealed[1 + KEY_ID..HEADER].try_into().map_err(|_| fail())?;
        let payload = Payload { msg: &sealed[HEADER..], aad: context.as_bytes() };
        self.cipher.decrypt(&Nonce::from(nonce), payload).map_err(|_| fail())
    }
}

/// The hash's key, filled up to its block as the algorithm does.
fn block(key: &[u8]) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    block
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SeededEntropy;

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_and_place() {
        let entropy = SeededEntropy::new(1);
        let (key, text) = MasterKey::generate(&entropy);
        let (other, _) = MasterKey::generate(&entropy);
        let sealed = key.seal(&"s3cret".into(), "app.secret wx1", &entropy);
        assert_eq!(key.open(&sealed, "app.secret wx1").unwrap().expose_secret(), "s3cret");
        assert_eq!(MasterKey::parse(&text).unwrap().id(), key.id());
        assert!(key.open(&sealed, "app.secret wx2").is_err());
        assert!(other.open(&sealed, "app.secret wx1").is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(&damaged, "app.secret wx1").is_err(), "byte {at}");
        }
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));
        assert!(!format!("{key:?}").contains(text.expose_secret()));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for text in ["", "c2hvcnQ=", "not base64!"] {
            assert!(MasterKey::parse(&text.into()).is_err());
        }
    }
}
