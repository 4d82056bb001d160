//! `hongyan operator` and `hongyan setup-code`: who signs in to the console.

use std::io::Read;

use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::to_value;
use service::operators::{OperatorView, Role, Roles};

use super::{principal, service_beside};
use crate::cli::Global;
use crate::locale::say;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    /// Adds an operator; the password is asked for
    Add {
        name: String,
        /// admin, sender, editor or viewer
        #[arg(long)]
        role: Role,
        /// Only for this app; may be given several times
        #[arg(long, value_name = "APPID")]
        app: Vec<String>,
        #[command(flatten)]
        password: Password,
    },
    /// Gives an operator another password; every session of theirs ends
    SetPassword {
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Gives an operator other roles
    SetRole {
        name: String,
        /// admin, sender, editor or viewer
        #[arg(long)]
        role: Role,
        /// Only for this app; may be given several times
        #[arg(long, value_name = "APPID")]
        app: Vec<String>,
    },
    /// Shows all operators
    List,
    /// Removes an operator
    Remove { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct Password {
    /// Reads the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

impl Password {
    fn read(&self) -> anyhow::Result<SecretString> {
        if self.password_stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input / 标准输入")?;
            return Ok(text.trim_end_matches(['\r', '\n']).into());
        }
        let ask = |what: &str| rpassword::prompt_password(what).map(SecretString::from);
        let first = ask(say("密码：", "Password: ")).context(say(
            "这里无法输入密码；请用 --password-stdin",
            "no password can be typed here; use --password-stdin",
        ))?;
        let second = ask(say("再输入一次：", "Once more: "))?;
        anyhow::ensure!(
            first.expose_secret() == second.expose_secret(),
            say("两次输入的密码不一样", "the two passwords differ")
        );
        Ok(first)
    }
}

pub(crate) async fn run(global: &Global, command: Operator) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    let roles = |role, apps: &[String]| match apps {
        [] => Roles::everywhere(role),
        apps => Roles::of_apps(apps, role),
    };
    match command {
        Operator::Add { name, role, app, password } => {
            let password = password.read()?;
            let added = service.add_operator(&name, &password, &roles(role, &app), &principal()).await?;
            service.note(&principal(), None, "POST operators", Some(&name)).await;
            show(global, &[added])?;
        }
        Operator::SetPassword { name, password } => {
            let changed = service.change_operator(&name, Some(&password.read()?), None).await?;
            service.note(&principal(), None, "PATCH operators", Some(&name)).await;
            show(global, &[changed])?;
        }
        Operator::SetRole { name, role, app } => {
            let changed = service.change_operator(&name, None, Some(&roles(role, &app))).await?;
            service.note(&principal(), None, "PATCH operators", Some(&name)).await;
            show(global, &[changed])?;
        }
        Operator::List => show(global, &service.operators().await?)?,
        Operator::Remove { name } => {
            service.remove_operator(&name).await?;
            service.note(&principal(), None, "DELETE operators", Some(&name)).await;
            output::remark(&format!("{} {name}", say("已删除", "Removed")));
        }
    }
    Ok(())
}

pub(crate) async fn setup_code(global: &Global) -> anyhow::Result<()> {
    match service_beside(global).await?.setup_code().await? {
        Some(code) => output::line(code.expose_secret()),
        None => anyhow::bail!(say(
            "管理员已经创建；忘记密码用 hongyan operator set-password",
            "there is an administrator already; `hongyan operator set-password` gives another password"
        )),
    }
    Ok(())
}

fn show(global: &Global, operators: &[OperatorView]) -> anyhow::Result<()> {
    if global.json {
        output::json(&to_value(operators)?);
        return Ok(());
    }
    let rows: Vec<_> = operators
        .iter()
        .map(|operator| {
            let roles = operator.roles.0.iter().map(|(app, role)| format!("{app}={}", role.as_str()));
            vec![
                operator.name.clone(),
                roles.collect::<Vec<_>>().join(" "),
                operator.created_at.clone(),
                operator.signed_in_at.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let headings =
        [say("名字", "NAME"), say("角色", "ROLES"), say("创建于", "CREATED"), say("上次登录", "SIGNED IN")];
    output::table(&headings, &rows);
    Ok(())
}
