//! Templates: the synced list, what has changed at WeChat, the public library, adding and deleting.

use askama::Template;
use axum::extract::{Path, Query};
use service::library::LibraryPage;
use service::operators::Right;
use service::snippets::Snippets;
use service::templates::TemplateView;
use wechat::client::LibraryKeyword;

use super::apps::fields;
use crate::answer::{Answer, go, show, show_with, status};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::AppVisit;

#[derive(Template)]
#[template(path = "templates.html")]
struct ListPage {
    page: Page,
    templates: Vec<TemplateView>,
}

#[derive(Template)]
#[template(path = "library.html")]
struct SearchPage {
    page: Page,
    words: String,
    library: LibraryPage,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "library_title.html")]
struct TitlePage {
    page: Page,
    tid: String,
    title: String,
    keywords: Vec<LibraryKeyword>,
    scene: String,
    errors: Vec<(String, String)>,
}

pub(crate) async fn list(visit: AppVisit) -> Answer {
    let page = Page::of_app(&visit, "templates", "");
    let title = page.t("模板", "Templates").to_owned();
    let templates = visit.service().templates(&visit.app).await?;
    Ok(show(&ListPage { page: Page { title, ..page }, templates }))
}

pub(crate) async fn sync(visit: AppVisit, _: Form) -> Answer {
    visit.need(Right::Edit)?;
    visit.service().sync_templates(&visit.app).await?;
    visit.did("POST templates/sync", None).await;
    Ok(go(&visit.path("templates?done=synced")))
}

/// An empty sheet for a template.
pub(crate) async fn sheet(visit: AppVisit, Path((_, id)): Path<(String, String)>) -> Answer {
    visit.need(Right::Edit)?;
    Ok(super::campaigns::workbook("recipients", visit.service().blank_sheet(&visit.app, &id).await?))
}

/// A piece of code: its id, name, what it is for, and itself.
type Part = (&'static str, &'static str, &'static str, String);

#[derive(Template)]
#[template(path = "template_code.html")]
struct CodePage {
    page: Page,
    snippets: Snippets,
    parts: Vec<Part>,
}

/// What to paste into the mini program.
pub(crate) async fn code(visit: AppVisit, Path((_, id)): Path<(String, String)>) -> Answer {
    let snippets = visit.service().snippets(&visit.app, &id).await?;
    let page = Page::of_app(&visit, "templates", "");
    let title = format!("{}：{}", page.t("小程序代码", "Code for the mini program"), snippets.title);
    let parts = vec![
        (
            "native",
            page.t("原生小程序", "Native mini program"),
            page.t(
                "先下载 hongyan.js 放到项目的 utils 目录。",
                "First download hongyan.js into the project's utils folder.",
            ),
            snippets.native.clone(),
        ),
        (
            "uni-app",
            "uni-app",
            page.t(
                "Vue 3；HBuilderX 项目也可以用 uni_modules/hongyan-subscribe。",
                "Vue 3; projects made with HBuilderX may take uni_modules/hongyan-subscribe.",
            ),
            snippets.uni_app.clone(),
        ),
        (
            "session",
            page.t("你的后端", "Your back end"),
            page.t(
                "已有登录的团队用它为用户签发会话；没有登录的，在 createHongyan 里写 login: true。",
                "Gives a session to a user whom you have logged in; without a login of your own, write login: true in createHongyan.",
            ),
            snippets.session.clone(),
        ),
        (
            "bare",
            page.t("只用微信接口", "WeChat's call alone"),
            page.t("不引入任何代码也可以记账：微信会把结果推送过来。", "Grants are counted all the same: WeChat pushes the result."),
            snippets.bare.clone(),
        ),
    ];
    Ok(show(&CodePage { page: Page { title, ..page }, snippets, parts }))
}

pub(crate) async fn remove(visit: AppVisit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    visit.need(Right::Manage)?;
    visit.service().delete_template(&visit.app, &id, form.get("confirm")).await?;
    visit.did("DELETE templates", Some(&id)).await;
    Ok(go(&visit.path("templates?done=removed")))
}

pub(crate) async fn library(visit: AppVisit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    visit.need(Right::Manage)?;
    let query = Form::of(query);
    let page = Page::of_app(&visit, "templates", "");
    let title = page.t("公共模板库", "Public library").to_owned();
    let words = query.get("words").to_owned();
    let start = query.get("cursor").parse().unwrap_or(0);
    let library = visit.service().library(&visit.app, &words, start).await?;
    let next = library.next.map(|next| next.to_string());
    let next = super::more(&page.a("library"), &[("words", words.as_str())], next);
    Ok(show(&SearchPage { page: Page { title, ..page }, words, library, next }))
}

pub(crate) async fn keywords(
    visit: AppVisit,
    Path((_, tid)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    visit.need(Right::Manage)?;
    let title = Form::of(query).get("title").to_owned();
    Ok(show(&title_page(&visit, tid, title, String::new(), Vec::new()).await?))
}

async fn title_page(
    visit: &AppVisit,
    tid: String,
    title: String,
    scene: String,
    errors: Vec<(String, String)>,
) -> Result<TitlePage, service::Problem> {
    let page = Page::of_app(visit, "templates", "");
    let keywords = visit.service().library_keywords(&visit.app, &tid).await?;
    Ok(TitlePage { page: Page { title: title.clone(), ..page }, tid, title, keywords, scene, errors })
}

pub(crate) async fn add(visit: AppVisit, Path((_, tid)): Path<(String, String)>, form: Form) -> Answer {
    visit.need(Right::Manage)?;
    // In the order in which they stand on the card: the numbers beside them, then that of the page.
    let mut chosen: Vec<(u32, usize, i64)> = form
        .all("keyword")
        .enumerate()
        .filter_map(|(at, kid)| {
            let kid: i64 = kid.parse().ok()?;
            Some((form.get(&format!("order.{kid}")).parse().unwrap_or(u32::MAX), at, kid))
        })
        .collect();
    chosen.sort_unstable();
    let keywords: Vec<i64> = chosen.into_iter().map(|(_, _, kid)| kid).collect();
    let scene = form.get("scene");
    match visit.service().add_template(&visit.app, &tid, &keywords, scene).await {
        Ok(template) => {
            visit.did("POST templates", Some(&template.id)).await;
            Ok(go(&visit.path("templates?done=saved")))
        }
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            let title = form.get("title").to_owned();
            let page = title_page(&visit, tid, title, scene.to_owned(), errors).await?;
            Ok(show_with(status(problem.kind), &page))
        }
    }
}
