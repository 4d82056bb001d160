//! `/apps/{app_id}/templates`.

use serde::Serialize;
use service::Scope;
use service::templates::{Difference, TemplateView};

use crate::auth::Access;
use crate::body::Path;
use crate::problem::ApiProblem;

/// A template.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TemplateBody {
    /// WeChat's id.
    id: String,
    title: String,
    /// one_time or long_term.
    #[serde(rename = "type")]
    kind: &'static str,
    /// WeChat no longer has it.
    gone: bool,
    /// What the last change at WeChat changed.
    difference: Option<Difference>,
    fields: Vec<TemplateField>,
}

/// A field.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TemplateField {
    /// The key to send, as thing8.
    key: String,
    kind: String,
    label: String,
    example: String,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    enum_values: Vec<String>,
}

/// The app's templates.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TemplateList {
    items: Vec<TemplateBody>,
    next_cursor: Option<String>,
}

impl From<TemplateView> for TemplateBody {
    fn from(template: TemplateView) -> Self {
        let field = |field: wechat::template::Field| TemplateField {
            key: field.key,
            kind: field.kind.as_str().to_owned(),
            label: field.label,
            example: field.example,
            enum_values: field.enum_values,
        };
        Self {
            id: template.id,
            title: template.title,
            kind: template.kind.as_str(),
            gone: template.gone,
            difference: template.difference,
            fields: template.fields.into_iter().map(field).collect(),
        }
    }
}

fn bodies(templates: Vec<TemplateView>) -> axum::Json<TemplateList> {
    let items = templates.into_iter().map(TemplateBody::from).collect();
    axum::Json(TemplateList { items, next_cursor: None })
}

/// The templates as they were last read from WeChat.
#[utoipa::path(get, path = "/apps/{app_id}/templates", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = TemplateList, description = "All of them")))]
pub(crate) async fn list(
    access: Access,
    Path(app_id): Path<String>,
) -> Result<axum::Json<TemplateList>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(bodies(access.service().templates(&app).await?))
}

/// Reads the templates from WeChat again; changes nothing there.
#[utoipa::path(post, path = "/apps/{app_id}/templates/sync", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = TemplateList, description = "All of them")))]
pub(crate) async fn sync(
    access: Access,
    Path(app_id): Path<String>,
) -> Result<axum::Json<TemplateList>, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    Ok(bodies(access.service().sync_templates(&app).await?))
}
