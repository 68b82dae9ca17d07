//! Where the services of the cloud are, as Keystone says with each token that it issues.

use serde::Deserialize;

/// The services of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Catalog(Vec<CatalogService>);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct CatalogService {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<CatalogEndpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct CatalogEndpoint {
    interface: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    url: String,
}

impl Catalog {
    /// The URL of the first service of this type, by interface, in a region or, if that is empty, in any.
    pub(super) fn endpoint(&self, kind: &str, interface: &str, region: &str) -> Option<&str> {
        let services = self.0.iter().filter(|service| service.kind == kind);
        let mut endpoints = services.flat_map(|service| &service.endpoints);
        let found = endpoints.find(|endpoint| {
            let names = [&endpoint.region, &endpoint.region_id];
            let is_there = names
                .iter()
                .any(|name| name.as_deref().is_some_and(|name| name == region));
            endpoint.interface == interface && (region.is_empty() || is_there)
        });
        found.map(|endpoint| endpoint.url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_endpoint_is_found_by_type_interface_and_region() {
        let endpoint = |interface: &str, region: &str, url: &str| json!({"interface": interface, "region": region, "region_id": region, "url": url});
        let catalog = json!([
            {"type": "identity", "endpoints": [endpoint("internal", "one", "http://k")]},
            {"type": "compute", "endpoints": [
                endpoint("public", "one", "http://p1"),
                endpoint("internal", "one", "http://i1"),
                endpoint("internal", "two", "http://i2"),
            ]},
        ]);
        let catalog: Catalog = serde_json::from_value(catalog).unwrap();
        let find = |interface, region| catalog.endpoint("compute", interface, region);
        assert_eq!(find("internal", ""), Some("http://i1"));
        assert_eq!(find("internal", "two"), Some("http://i2"));
        assert_eq!(find("public", "one"), Some("http://p1"));
        assert_eq!(find("public", "two"), None);
        assert_eq!(find("admin", ""), None);
    }
}
