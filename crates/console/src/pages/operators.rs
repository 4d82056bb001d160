//! Operators and their roles.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Path;
use service::operators::{OperatorView, Right, Role, Roles};
use service::{Kind, Problem};

use super::apps::fields;
use crate::answer::{Answer, go, show, show_with, status};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::Visit;
use crate::words;

#[derive(Template)]
#[template(path = "operators.html")]
struct OperatorsPage {
    page: Page,
    operators: Vec<(OperatorView, Vec<(String, &'static str)>)>,
    roles: Vec<(&'static str, &'static str, &'static str)>,
    me: String,
    form: Form,
    errors: Vec<(String, String)>,
}

pub(crate) async fn list(visit: Visit) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    Ok(show(&list_page(&visit, Form::default(), Vec::new()).await?))
}

async fn list_page(
    visit: &Visit,
    form: Form,
    errors: Vec<(String, String)>,
) -> Result<OperatorsPage, Problem> {
    let page = Page::of(visit, "operators", "");
    let title = page.t("成员与权限", "Operators").to_owned();
    let names: BTreeMap<String, String> = page.apps.iter().cloned().collect();
    let shown = |operator: OperatorView| {
        let roles = operator
            .roles
            .0
            .iter()
            .map(|(app, role)| {
                let app = if app == "*" {
                    page.t("所有小程序", "every app").to_owned()
                } else {
                    names.get(app).unwrap_or(app).clone()
                };
                (app, words::role(*role, visit.lang))
            })
            .collect();
        (operator, roles)
    };
    let operators = visit.service().operators().await?.into_iter().map(shown).collect();
    let roles = Role::ALL
        .iter()
        .rev()
        .map(|role| (role.as_str(), words::role(*role, visit.lang), words::role_may(*role, visit.lang)))
        .collect();
    Ok(OperatorsPage {
        page: Page { title, ..page },
        operators,
        roles,
        me: visit.operator.name.clone(),
        form,
        errors,
    })
}

/// The role for every app, or for those that are ticked.
fn roles(form: &Form) -> Result<Roles, Problem> {
    let role: Role = form
        .get("role")
        .parse()
        .map_err(|text: String| Problem::new(Kind::Invalid, "invalid_role", text.clone(), text))?;
    let apps: Vec<String> = form.all("app").map(str::to_owned).collect();
    Ok(if apps.is_empty() { Roles::everywhere(role) } else { Roles::of_apps(&apps, role) })
}

pub(crate) async fn add(visit: Visit, form: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let by = visit.operator.principal();
    let added = match roles(&form) {
        Ok(roles) => {
            visit.service().add_operator(form.get("name"), &form.secret("password"), &roles, &by).await
        }
        Err(problem) => Err(problem),
    };
    match added {
        Ok(operator) => {
            visit.note(None, "POST operators", Some(&operator.name)).await;
            Ok(go("operators?done=saved"))
        }
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            Ok(show_with(status(problem.kind), &list_page(&visit, form, errors).await?))
        }
    }
}

pub(crate) async fn change(visit: Visit, Path(name): Path<String>, form: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let password = form.some("password").map(secrecy::SecretString::from);
    let roles = if form.get("role").is_empty() { None } else { Some(roles(&form)?) };
    visit.service().change_operator(&name, password.as_ref(), roles.as_ref()).await?;
    visit.note(None, "PATCH operators", Some(&name)).await;
    Ok(go("operators?done=saved"))
}

pub(crate) async fn remove(visit: Visit, Path(name): Path<String>, _: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    visit.service().remove_operator(&name).await?;
    visit.note(None, "DELETE operators", Some(&name)).await;
    Ok(go("operators?done=removed"))
}
