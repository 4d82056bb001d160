//! `/cluster`: the nodes and lanes.

use service::Scope;
use service::cluster::Cluster;

use crate::auth::Access;
use crate::problem::ApiProblem;

/// The nodes that serve this database, and how far each lane is behind.
#[utoipa::path(get, path = "/cluster",
    responses((status = 200, body = Cluster, description = "Nodes and lanes")))]
pub(crate) async fn show(access: Access) -> Result<axum::Json<Cluster>, ApiProblem> {
    access.everywhere(Scope::Read)?;
    Ok(axum::Json(access.service().cluster().await?))
}
