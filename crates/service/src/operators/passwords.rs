//! Passwords: argon2id with the parameters that OWASP names (19 MiB, two passes), computed where they hold up no request, and a few
//! at a time: whoever sends many sign-ins at once takes no memory that others need.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use domain::Entropy;
use domain::entropy::random_bytes;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use zxcvbn::{Score, zxcvbn};

use crate::problem::{FieldError, Kind, Problem};

const SHORTEST: usize = 10;
const LONGEST: usize = 128;

/// Hashes at the same time; each takes 19 MiB and some ten milliseconds.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// Whether a password will do.
pub(super) fn check(password: &SecretString, name: &str) -> Result<(), Problem> {
    let text = password.expose_secret();
    let count = text.chars().count();
    let plain = text.to_lowercase();
    let (zh, en) = if count < SHORTEST {
        (
            format!("密码至少 {SHORTEST} 个字符，现在是 {count} 个。"),
            format!("A password has {SHORTEST} characters at least; this one has {count}."),
        )
    } else if count > LONGEST {
        (format!("密码最多 {LONGEST} 个字符。"), format!("A password has {LONGEST} characters at most."))
    } else if plain.contains(&name.to_lowercase()) || guessed(text, name) {
        (
            "密码太容易猜到：不要用常见的密码、名字、键盘上连着的键或重复的字符；几个不相干的词就很好。".to_owned(),
            "This is too easily guessed: no common password, no name, no keys in a row, nothing repeated; a few unrelated words are good."
                .to_owned(),
        )
    } else {
        return Ok(());
    };
    Err(FieldError::new("/password", "weak_password", zh, en).into())
}

/// Whether somebody who knows what people choose needs fewer than a hundred million tries: from a list of 30,000 common passwords with
/// their variations, words, names, years, keys in a row; and what is common here.
fn guessed(text: &str, name: &str) -> bool {
    let ours = [name, "hongyan", "鸿雁", "admin", "woaini", "1314520", "5201314"];
    zxcvbn(text, &ours).score() <= Score::Two
}

/// The hash of a password, as a PHC string.
pub(super) async fn hash(password: SecretString, entropy: &dyn Entropy) -> Result<String, Problem> {
    let salt = random_bytes::<16>(entropy);
    let _turn = AT_ONCE.acquire().await;
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
    // None of ours is that long.
    if password.expose_secret().chars().count() > LONGEST {
        return Ok(false);
    }
    let _turn = AT_ONCE.acquire().await;
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
        let common = [
            "1234567890",
            "qwertyuiop",
            "1q2w3e4r5t",
            "password123",
            "iloveyou123",
            "hongyan2026",
            "woaini1314520",
        ];
        for weak in ["short", "aaaaaaaaaaaa", "Password2026!", "xiaowang-2026"].into_iter().chain(common) {
            assert!(check(&weak.into(), "XiaoWang").is_err(), "{weak}");
        }
        for good in
            ["correct horse", "春江潮水连海平海上明月共潮生", "幸福小区三号楼下的那只猫", "tr0ub4dor&3x"]
        {
            check(&good.into(), "xiaowang").unwrap_or_else(|problem| panic!("{good}: {problem}"));
        }
        assert!(check(&"长".repeat(129).into(), "x").is_err());
    }
}
