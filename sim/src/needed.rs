//! The objects that the checkpoints of jobs cannot do without: their manifests, and the files that these name. All of them are in
//! the checkpoint storage for as long as the replicated state has the checkpoint, also while a job goes on from another one.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::JobId;
use weir_state::{Manifest, layout};

use crate::objects::Objects;

/// What is needed, as the newest leader knows.
#[derive(Debug, Default)]
pub struct Needed {
    jobs: BTreeMap<JobId, Job>,
}

#[derive(Debug, Default)]
struct Job {
    /// Beginning of the names of all its objects.
    place: String,
    /// Names of manifests, and of the files that each of them names.
    manifests: BTreeMap<String, BTreeSet<String>>,
}

impl Needed {
    /// These are a job's checkpoints, by the paths of their manifests at its place.
    ///
    /// # Errors
    /// If something of them is not there.
    pub fn update(&mut self, id: JobId, place: String, manifests: &[&str], objects: &Objects) -> Result<(), String> {
        let job = self.jobs.entry(id).or_default();
        job.place = format!("{place}/");
        let names: Vec<String> = manifests.iter().map(|path| format!("{}{path}", job.place)).collect();
        job.manifests.retain(|name, _| names.contains(name));
        for name in names {
            if job.manifests.contains_key(&name) {
                continue;
            }
            let objects = objects.lock();
            let bytes = objects.get(&name).ok_or_else(|| format!("{name} counts, and is not there"))?;
            let manifest = Manifest::from_bytes(bytes, &name).map_err(|error| error.report())?;
            let files: BTreeSet<String> = manifest.files().map(|file| format!("{}{file}", job.place)).collect();
            if let Some(missing) = files.iter().find(|file| !objects.contains_key(*file)) {
                return Err(format!("{name} names {missing}, which is not there"));
            }
            job.manifests.insert(name, files);
        }
        Ok(())
    }

    /// The manifest that cannot do without an object.
    pub fn by(&self, object: &str) -> Option<&str> {
        let needs = |(name, files): &(&String, &BTreeSet<String>)| *name == object || files.contains(object);
        self.jobs.values().flat_map(|job| &job.manifests).find(needs).map(|(name, _)| name.as_str())
    }

    /// An object that belongs to a checkpoint that there is no more, or that there never was. What came of a merge that was too late
    /// for the last manifest of a job is left to the next sweep.
    pub fn orphan(&self, objects: &Objects) -> Option<String> {
        let objects = objects.lock();
        let is_orphan = |object: &&String| {
            let path = self.jobs.values().find_map(|job| object.strip_prefix(&job.place));
            let is_run = |path: &str| layout::run(path).is_some() && !path.contains("-merge-");
            let counts = path.is_some_and(|path| is_run(path) || layout::of_manifest(path).is_some());
            counts && self.by(object).is_none()
        };
        objects.keys().find(is_orphan).cloned()
    }
}
