//! An index of derived instances by namespace and service name, kept up allocation by allocation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use model::id::AllocId;

use crate::instance::Instance;

/// Whoever knows the live instances: the server's state, or a client's copy of it.
pub trait Source: Send + Sync {
    /// All instances of a service, healthy or not, in a stable order; empty when there is no such service. Letter case
    /// of `service` does not matter.
    fn lookup(&self, namespace: &str, service: &str) -> Arc<[Instance]>;

    /// Grows whenever an answer of `lookup` may have changed.
    fn version(&self) -> u64;
}

type Services = OrdMap<Arc<str>, Arc<[Instance]>>;

/// Instances by namespace and service. A clone is a pointer copy and stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    by_name: OrdMap<Arc<str>, Services>,
    /// The names under which an allocation has instances, to take them back.
    by_alloc: OrdMap<AllocId, Arc<[ServiceKey]>>,
    version: u64,
}

/// Namespace, and service name in lower case.
type ServiceKey = (Arc<str>, Arc<str>);

impl Catalog {
    /// An empty catalog.
    pub fn new() -> Catalog {
        Catalog::default()
    }

    /// The catalog of all `instances`: equal to the one kept up by [`Catalog::update`].
    pub fn of(instances: impl IntoIterator<Item = Instance>) -> Catalog {
        let mut by_alloc: BTreeMap<AllocId, Vec<Instance>> = BTreeMap::new();
        for instance in instances {
            by_alloc.entry(instance.alloc_id).or_default().push(instance);
        }
        let mut catalog = Catalog::new();
        catalog.update_all(by_alloc);
        catalog
    }

    /// Replaces what is known of one allocation by `instances`; none at all when it has ended.
    pub fn update(&mut self, alloc: AllocId, instances: Vec<Instance>) {
        self.update_all([(alloc, instances)]);
    }

    /// Replaces what is known of several allocations. A service is rebuilt once, however many of its instances change,
    /// so a whole batch of the log belongs into one call. An allocation given twice counts as given last.
    pub fn update_all(&mut self, changes: impl IntoIterator<Item = (AllocId, Vec<Instance>)>) {
        let changes: BTreeMap<AllocId, Vec<Instance>> = changes.into_iter().collect();
        let mut added: BTreeMap<ServiceKey, Vec<Instance>> = BTreeMap::new();
        let mut touched: BTreeSet<ServiceKey> = BTreeSet::new();
        for (alloc, instances) in &changes {
            touched.extend(self.by_alloc.get(alloc).into_iter().flat_map(|keys| keys.iter()).cloned());
            let mut keys: Vec<ServiceKey> = Vec::new();
            for instance in instances {
                debug_assert_eq!(instance.alloc_id, *alloc);
                let key = (instance.namespace.clone(), Arc::from(instance.service.to_ascii_lowercase()));
                added.entry(key.clone()).or_default().push(instance.clone());
                keys.push(key);
            }
            touched.extend(keys.iter().cloned());
            if keys.is_empty() {
                self.by_alloc.remove(alloc);
            } else {
                self.by_alloc.insert(*alloc, keys.into());
            }
        }
        let mut changed = false;
        for key in touched {
            changed |= self.rebuild(&key, &changes, added.remove(&key).unwrap_or_default());
        }
        self.version += u64::from(changed);
    }

    /// Builds one service anew without the old instances of `changes` and with `added`; says whether it differs now.
    fn rebuild(
        &mut self,
        (namespace, service): &ServiceKey,
        changes: &BTreeMap<AllocId, Vec<Instance>>,
        added: Vec<Instance>,
    ) -> bool {
        let old = self.by_name.get(namespace).and_then(|services| services.get(service)).cloned().unwrap_or_default();
        let kept = old.iter().filter(|instance| !changes.contains_key(&instance.alloc_id)).cloned();
        let mut new: Vec<Instance> = kept.chain(added).collect();
        new.sort_by(|a, b| (a.alloc_id, &a.id).cmp(&(b.alloc_id, &b.id)));
        if new[..] == old[..] {
            return false;
        }
        let mut services = self.by_name.get(namespace).cloned().unwrap_or_default();
        if new.is_empty() {
            services.remove(service);
        } else {
            services.insert(service.clone(), new.into());
        }
        if services.is_empty() {
            self.by_name.remove(namespace);
        } else {
            self.by_name.insert(namespace.clone(), services);
        }
        true
    }

    /// All services of all namespaces with their instances, by namespace and then by name in lower case.
    pub fn services(&self) -> impl Iterator<Item = (&str, &str, &Arc<[Instance]>)> {
        let all = self.by_name.iter();
        all.flat_map(|(namespace, services)| services.iter().map(|(name, list)| (&**namespace, &**name, list)))
    }

    /// The services of one namespace, by name in lower case.
    pub fn services_in(&self, namespace: &str) -> impl Iterator<Item = (&str, &Arc<[Instance]>)> {
        self.by_name.get(namespace).into_iter().flat_map(|services| services.iter().map(|(name, list)| (&**name, list)))
    }
}

impl Source for Catalog {
    fn lookup(&self, namespace: &str, service: &str) -> Arc<[Instance]> {
        let Some(services) = self.by_name.get(namespace) else { return Arc::default() };
        if service.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return services.get(service.to_ascii_lowercase().as_str()).cloned().unwrap_or_default();
        }
        services.get(service).cloned().unwrap_or_default()
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// Equal when they answer equally; how often each was changed does not count.
impl PartialEq for Catalog {
    fn eq(&self, other: &Catalog) -> bool {
        self.by_name == other.by_name && self.by_alloc == other.by_alloc
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
