//! Passwords: argon2id with the parameters that OWASP names (19 MiB, two passes), computed where they hold up no request.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use domain::Entropy;
use domain::entropy::random_bytes;
use secrecy::{ExposeSecret, SecretString};

use crate::problem::{FieldError, Kind, Problem};

const SHORTEST: usize = 10;
const LONGEST: usize = 128;

/// Whether a password will do.
pub(super) fn check(password: &SecretString, name: &str) -> Result<(), Problem> {
    let text = password.expose_secret();
    let count = text.chars().count();
    let plain = text.to_lowercase();
    let mut distinct: Vec<char> = plain.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let (zh, en) = if count < SHORTEST {
        (
            format!("密码至少 {SHORTEST} 个字符，现在是 {count} 个。"),
            format!("A password has {SHORTEST} characters at least; this one has {count}."),
        )
    } else if count > LONGEST {
        (format!("密码最多 {LONGEST} 个字符。"), format!("A password has {LONGEST} characters at most."))
    } else if distinct.len() < 5 || plain.contains(&name.to_lowercase()) || plain.starts_with("password") {
        (
            "密码太容易猜到：不要用名字、password 或重复的字符。".to_owned(),
            "This is too easily guessed: neither the name, nor `password`, nor repeated characters."
                .to_owned(),
        )
    } else {
        return Ok(());
    };
    Err(FieldError::new("/password", "weak_password", zh, en).into())
}

/// The hash of a password, as a PHC string.
pub(super) async fn hash(password: SecretString, entropy: &dyn Entropy) -> Result<String, Problem> {
    let salt = random_bytes::<16>(entropy);
    tokio::task::spawn_blocking(move || hashed(&password, &salt)).await.ok().flatten().ok_or_else(broken)
}

fn hashed(password: &SecretString, salt: &[u8]) -> Option<String> {
    let hash = Argon2::default().hash_password_with_salt(password.expose_secret().as_bytes(), salt).ok()?;
    Some(hash.to_string())
}

/// Whether a password is the one of a hash; without a hash it only takes as long.
pub(super) async fn verify(password: SecretString, hash: Option<String>) -> Result<bool, Problem> {
    static NOBODY: LazyLock<String> =
        LazyLock::new(|| hashed(&SecretString::from("nobody"), b"nobody's own salt").unwrap_or_default());
    let verified = tokio::task::spawn_blocking(move || {
        let known = hash.is_some();
        let text = hash.unwrap_or_else(|| NOBODY.clone());
        let Ok(parsed) = PasswordHash::new(&text) else { return false };
        Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok() && known
    });
    verified.await.map_err(|_| broken())
}

fn broken() -> Problem {
    Problem::new(
        Kind::Unavailable,
        "password_not_checked",
        "密码暂时无法校验，请重试。",
        "The password could not be checked; try again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_checked_against_its_hash() {
        let entropy = domain::SeededEntropy::new(1);
        let hash = hash("correct horse".into(), &entropy).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!verify("correct house".into(), Some(hash)).await.unwrap());
        assert!(!verify("nobody".into(), None).await.unwrap(), "nobody signs in without a name");
    }

    #[test]
    fn weak_passwords_are_named() {
        for weak in ["short", "aaaaaaaaaaaa", "Password2026!", "xiaowang-2026"] {
            assert!(check(&weak.into(), "XiaoWang").is_err(), "{weak}");
        }
        check(&"correct horse".into(), "xiaowang").unwrap();
        assert!(check(&"长".repeat(129).into(), "x").is_err());
    }
}
