//! Operators: who signs in to the console, with which role for which app. Passwords are kept as argon2id hashes, sessions as
//! digests of what the browser holds. Used by the console, the API and the command line.

mod attempts;
mod passwords;

use std::collections::BTreeMap;

use base64::Engine as _;
use domain::Millis;
use domain::clock::{DAY, HOUR};
use domain::entropy::random_bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::operators::StoredOperator;
use subtle::ConstantTimeEq;

pub(crate) use self::attempts::Attempts;
use crate::Service;
use crate::problem::{FieldError, Kind, Problem};
use crate::view::time;

/// A session ends after so long, and after so long without use.
const SESSION: Millis = 7 * DAY;
const IDLE: Millis = 12 * HOUR;
/// In place of an AppID: every app.
const EVERY: &str = "*";
const LONGEST_NAME: usize = 40;

/// What an operator is, in an app or in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees, with openids masked.
    Viewer,
    /// Also writes drafts and reads sheets in; sends nothing.
    Editor,
    /// Also sends, approves, pauses.
    Sender,
    /// Everything.
    Admin,
}

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See.
    Read,
    /// Write drafts, read sheets in, look at forecasts.
    Edit,
    /// Send, approve, pause, cancel.
    Send,
    /// Everything else.
    Manage,
}

impl Role {
    /// All of them, the weakest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Editor, Self::Sender, Self::Admin];

    /// Whether the role has a right.
    pub fn may(self, right: Right) -> bool {
        let needed = match right {
            Right::Read => Self::Viewer,
            Right::Edit => Self::Editor,
            Right::Send => Self::Sender,
            Right::Manage => Self::Admin,
        };
        self >= needed
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Sender => "sender",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or_else(|| {
            format!("{word} is no role: admin, sender, editor or viewer / 角色只能是 admin、sender、editor、viewer")
        })
    }
}

/// Roles by AppID; `*` is every app that is not named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Roles(pub BTreeMap<String, Role>);

impl Roles {
    /// One role for every app.
    pub fn everywhere(role: Role) -> Self {
        Self(BTreeMap::from([(EVERY.to_owned(), role)]))
    }

    /// A role for some apps.
    pub fn of_apps(apps: &[String], role: Role) -> Self {
        Self(apps.iter().map(|app| (app.clone(), role)).collect())
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The number.
    pub number: i64,
    /// The name.
    pub name: String,
    roles: Roles,
}

impl Operator {
    /// The role in an app; none where the app is not there for them.
    pub fn role(&self, app_id: &str) -> Option<Role> {
        self.roles.0.get(app_id).or_else(|| self.roles.0.get(EVERY)).copied()
    }

    /// Whether they may do something in an app.
    pub fn may(&self, app_id: &str, right: Right) -> bool {
        self.role(app_id).is_some_and(|role| role.may(right))
    }

    /// Whether they may do something that is not one app's.
    pub fn may_everywhere(&self, right: Right) -> bool {
        self.roles.0.get(EVERY).is_some_and(|role| role.may(right))
    }

    /// Who it is, for the record.
    pub fn principal(&self) -> String {
        format!("operator:{}", self.name)
    }
}

/// An operator as it is shown.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OperatorView {
    /// The name.
    pub name: String,
    /// Roles by AppID; `*` is every app.
    pub roles: Roles,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// When it last signed in.
    pub signed_in_at: Option<String>,
}

impl Service {
    /// Whether somebody has claimed the installation.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn is_claimed(&self) -> Result<bool, Problem> {
        Ok(self.store.has_operators().await?)
    }

    /// The one-time code that claims a fresh installation; none once that is done.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn setup_code(&self) -> Result<Option<SecretString>, Problem> {
        if self.is_claimed().await? {
            return Ok(None);
        }
        // Letters and digits that are not mistaken for each other; 60 bits.
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let code: String = random_bytes::<12>(&*self.entropy)
            .iter()
            .enumerate()
            .flat_map(|(at, byte)| {
                let dash = (at > 0 && at % 4 == 0).then_some('-');
                dash.into_iter().chain([char::from(LETTERS[usize::from(byte & 31)])])
            })
            .collect();
        Ok(Some(self.store.setup_code(code.into()).await?))
    }

    /// Makes the first administrator, for whoever has the code.
    ///
    /// # Errors
    /// `wrong_setup_code`, `already_set_up`, `too_many_attempts`, a name or password that will not do.
    pub async fn claim(
        &self,
        code: &str,
        name: &str,
        password: &SecretString,
        from: &str,
    ) -> Result<SecretString, Problem> {
        self.attempts.make("", from, self.now())?;
        let Some(expected) = self.setup_code().await? else { return Err(already_set_up()) };
        let plain = |code: &str| {
            code.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_uppercase()
        };
        let fits = plain(code).as_bytes().ct_eq(plain(expected.expose_secret()).as_bytes());
        if !bool::from(fits) {
            tracing::warn!(from, "somebody came with a wrong setup code");
            return Err(FieldError::new(
                "/code",
                "wrong_setup_code",
                "安装码不对。它显示在 hongyan serve 的启动日志里，也可以在服务器上运行 hongyan setup-code 再看一次。",
                "The code is wrong. `hongyan serve` prints it when it starts, and `hongyan setup-code` shows it again.",
            )
            .into());
        }
        let stored = self.new_operator(name, password, &Roles::everywhere(Role::Admin), "setup").await?;
        let name = stored.name.clone();
        let Some(number) = self.store.insert_first_operator(stored).await? else {
            return Err(already_set_up());
        };
        self.note(&format!("operator:{name}"), None, "POST setup", None).await;
        self.open_session(number).await
    }

    /// Adds an operator.
    ///
    /// # Errors
    /// `operator_exists`, a name, a password or roles that will not do.
    pub async fn add_operator(
        &self,
        name: &str,
        password: &SecretString,
        roles: &Roles,
        by: &str,
    ) -> Result<OperatorView, Problem> {
        let stored = self.new_operator(name, password, roles, by).await?;
        match self.store.insert_operator(stored.clone()).await? {
            Some(_) => view(stored),
            None => Err(Problem::new(
                Kind::Conflict,
                "operator_exists",
                format!("已有名为 {name} 的成员，请换一个名字。"),
                format!("There is an operator {name} already; choose another name."),
            )),
        }
    }

    /// Gives an operator another password or other roles; it has to sign in again.
    ///
    /// # Errors
    /// `operator_not_found`, `last_admin`, a password or roles that will not do.
    pub async fn change_operator(
        &self,
        name: &str,
        password: Option<&SecretString>,
        roles: Option<&Roles>,
    ) -> Result<OperatorView, Problem> {
        let mut stored = self.stored_operator(name).await?;
        if let Some(roles) = roles {
            self.check_roles(roles)?;
            if !is_admin(roles) {
                self.not_the_last_admin(name).await?;
            }
            stored.roles = serde_json::to_string(roles).unwrap_or_default();
        }
        let hash = match password {
            Some(password) => {
                passwords::check(password, name)?;
                Some(passwords::hash(password.clone(), &*self.entropy).await?)
            }
            None => None,
        };
        let roles = roles.map(|_| stored.roles.clone());
        self.store.change_operator(stored.number, hash, roles).await?;
        view(stored)
    }

    /// Removes an operator.
    ///
    /// # Errors
    /// `operator_not_found`, `last_admin`.
    pub async fn remove_operator(&self, name: &str) -> Result<(), Problem> {
        let stored = self.stored_operator(name).await?;
        self.not_the_last_admin(name).await?;
        Ok(self.store.remove_operator(stored.number).await?)
    }

    /// All operators.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn operators(&self) -> Result<Vec<OperatorView>, Problem> {
        self.store.operators().await?.into_iter().map(view).collect()
    }

    /// Signs in; gives what the browser shall hold.
    ///
    /// # Errors
    /// `wrong_credentials`, `too_many_attempts`.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &SecretString,
        from: &str,
    ) -> Result<SecretString, Problem> {
        if name.chars().count() > LONGEST_NAME {
            return Err(wrong_credentials());
        }
        self.attempts.make(name, from, self.now())?;
        let stored = self.store.operators().await?.into_iter().find(|operator| operator.name == name);
        let hash = stored.as_ref().map(|operator| operator.password.clone());
        // An unknown name takes as long as a wrong password.
        let right = passwords::verify(password.clone(), hash).await?;
        match stored.filter(|_| right) {
            Some(operator) => {
                self.attempts.succeeded(name, from);
                self.note(&format!("operator:{name}"), None, "POST login", None).await;
                self.open_session(operator.number).await
            }
            None => {
                tracing::warn!(from, "somebody could not sign in");
                Err(wrong_credentials())
            }
        }
    }

    /// Who is signed in with a session.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn signed_in(&self, session: &SecretString) -> Result<Option<Operator>, Problem> {
        let stored = self.store.session(digest(session), self.now(), IDLE).await?;
        stored
            .map(|stored| {
                Ok(Operator {
                    number: stored.number,
                    roles: serde_json::from_str(&stored.roles)
                        .map_err(|_| store::StoreError::Corrupt("operator.roles"))?,
                    name: stored.name,
                })
            })
            .transpose()
    }

    /// Signs out.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn sign_out(&self, session: &SecretString) -> Result<(), Problem> {
        Ok(self.store.close_session(digest(session)).await?)
    }

    async fn open_session(&self, operator: i64) -> Result<SecretString, Problem> {
        let bytes = random_bytes::<32>(&*self.entropy);
        let session = SecretString::from(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes));
        let now = self.now();
        self.store.open_session(digest(&session), operator, now, now + SESSION).await?;
        Ok(session)
    }

    async fn new_operator(
        &self,
        name: &str,
        password: &SecretString,
        roles: &Roles,
        by: &str,
    ) -> Result<StoredOperator, Problem> {
        let name = name.trim();
        let fits = !name.is_empty()
            && name.chars().count() <= LONGEST_NAME
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'));
        if !fits {
            return Err(FieldError::new(
                "/name",
                "invalid_name",
                "名字为 1 到 40 个字，可用文字、数字、- _ . @，不含空格。",
                "A name has 1 to 40 letters, digits, - _ . @, and no spaces.",
            )
            .into());
        }
        self.check_roles(roles)?;
        passwords::check(password, name)?;
        Ok(StoredOperator {
            number: 0,
            name: name.to_owned(),
            password: passwords::hash(password.clone(), &*self.entropy).await?,
            roles: serde_json::to_string(roles).unwrap_or_default(),
            created_by: by.to_owned(),
            created_at: self.now(),
            signed_in_at: None,
        })
    }

    fn check_roles(&self, roles: &Roles) -> Result<(), Problem> {
        if roles.0.is_empty() {
            return Err(FieldError::new(
                "/roles",
                "missing",
                "至少要有一个角色。所有小程序写 {\"*\": \"viewer\"}。",
                "An operator has one role at least; {\"*\": \"viewer\"} is one for every app.",
            )
            .into());
        }
        let apps = self.apps.all();
        match roles.0.keys().find(|app_id| *app_id != EVERY && !apps.iter().any(|app| app.app_id == **app_id))
        {
            Some(app_id) => Err(FieldError::new(
                format!("/roles/{app_id}"),
                "unknown_app",
                format!("没有小程序 {app_id}。"),
                format!("There is no app {app_id}."),
            )
            .into()),
            None => Ok(()),
        }
    }

    async fn stored_operator(&self, name: &str) -> Result<StoredOperator, Problem> {
        self.store.operators().await?.into_iter().find(|operator| operator.name == name).ok_or_else(|| {
            Problem::new(
                Kind::NotFound,
                "operator_not_found",
                format!("没有名为 {name} 的成员。"),
                format!("There is no operator {name}."),
            )
        })
    }

    /// Nobody could make operators any more.
    async fn not_the_last_admin(&self, name: &str) -> Result<(), Problem> {
        let others = self.operators().await?;
        if others.iter().any(|operator| operator.name != name && is_admin(&operator.roles)) {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Conflict,
            "last_admin",
            "这是最后一位管理员。请先让另一位成员成为管理员。",
            "This is the last administrator. Make somebody else one first.",
        ))
    }
}

fn is_admin(roles: &Roles) -> bool {
    roles.0.get(EVERY) == Some(&Role::Admin)
}

fn view(stored: StoredOperator) -> Result<OperatorView, Problem> {
    Ok(OperatorView {
        roles: serde_json::from_str(&stored.roles)
            .map_err(|_| store::StoreError::Corrupt("operator.roles"))?,
        name: stored.name,
        created_by: stored.created_by,
        created_at: time(stored.created_at),
        signed_in_at: stored.signed_in_at.map(time),
    })
}

fn wrong_credentials() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "wrong_credentials",
        "名字或密码不对。忘记密码时，请管理员在服务器上运行 hongyan operator set-password 名字。",
        "Name or password is wrong. Where it is forgotten, the administrator runs `hongyan operator set-password NAME` on the server.",
    )
}

fn already_set_up() -> Problem {
    Problem::new(
        Kind::Conflict,
        "already_set_up",
        "管理员已经创建，请直接登录。",
        "There is an administrator already; sign in.",
    )
}

fn digest(session: &SecretString) -> [u8; 32] {
    Sha256::digest(session.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_hold_for_their_app() {
        let roles = Roles(BTreeMap::from([("*".into(), Role::Viewer), ("wx1".into(), Role::Sender)]));
        let operator = Operator { number: 1, name: "小王".into(), roles };
        assert!(operator.may("wx1", Right::Send) && !operator.may("wx1", Right::Manage));
        assert!(operator.may("wx2", Right::Read) && !operator.may("wx2", Right::Edit));
        assert!(!operator.may_everywhere(Right::Edit));
        let one = Operator { roles: Roles::of_apps(&["wx1".into()], Role::Admin), ..operator };
        assert_eq!(one.role("wx2"), None, "an app that is not there for them");
        assert!(one.may("wx1", Right::Manage) && !one.may_everywhere(Right::Read));
    }
}
