//! What the server has, and what of S3 it does with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::wire::{Reply, Request};
use super::{Act, Quirk};

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) quirk: Option<Quirk>,
    pub(crate) missed: BTreeSet<String>,
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    pub(crate) puts: VecDeque<Act>,
    pub(crate) gets: VecDeque<Act>,
    pub(crate) served: (usize, usize),
    /// What the last PUT said of itself.
    pub(crate) headers: HashMap<String, String>,
    /// Of the upload that is under way.
    parts: BTreeMap<String, Vec<u8>>,
}

impl State {
    /// What is asked of something else than an object as a whole.
    pub(crate) fn beside(&mut self, request: &Request) -> Option<Reply> {
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        if query == "lifecycle" {
            let rule = "<Rule><ID>old</ID><Filter><Prefix>pg/log/</Prefix></Filter>\
                        <Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>";
            return Some(match self.quirk {
                Some(Quirk::ExpiresLog) => Reply::well(200, rule),
                Some(Quirk::HidesRules) => Reply::failed(403),
                _ => Reply::failed(2404),
            });
        }
        if query.contains("list-type") {
            return Some(Reply::well(200, self.listing(&request.path)?));
        }
        if query.contains("uploads") || query.contains("uploadId") {
            return Some(self.part(request));
        }
        self.delete(request)
    }

    /// A step of the one upload in parts that there is.
    fn part(&mut self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap().to_owned();
        if self.quirk == Some(Quirk::NoParts) {
            return Reply::failed(501);
        }
        match request.method.as_str() {
            "PUT" => {
                self.parts.insert(request.path.clone(), request.body.clone());
                Reply::well(200, "")
            }
            "POST" if request.path.contains("uploads") => Reply::well(
                200,
                "<InitiateMultipartUploadResult><UploadId>1</UploadId>\
                 </InitiateMultipartUploadResult>",
            ),
            "POST" => {
                let body = std::mem::take(&mut self.parts).into_values().flatten().collect();
                self.objects.insert(path, body);
                let result = "<CompleteMultipartUploadResult><ETag>tag</ETag>\
                              </CompleteMultipartUploadResult>";
                Reply::well(200, result)
            }
            _ => {
                self.parts.clear();
                Reply::well(204, "")
            }
        }
    }

    /// Deletes one object, or those that a list names.
    fn delete(&mut self, request: &Request) -> Option<Reply> {
        match request.method.as_str() {
            "DELETE" => {
                self.objects.remove(&request.path);
            }
            "POST" if self.quirk == Some(Quirk::NoBulk) => return Some(Reply::failed(501)),
            "POST" => {
                let bucket = request.path.split_once('?')?.0;
                let text = String::from_utf8_lossy(&request.body).into_owned();
                let mut deleted = String::new();
                for part in text.split("<Key>").skip(1) {
                    let name = part.split("</Key>").next()?;
                    self.objects.remove(&format!("{bucket}/{name}"));
                    deleted.extend(["<Deleted><Key>", name, "</Key></Deleted>"]);
                }
                return Some(Reply::well(200, format!("<DeleteResult>{deleted}</DeleteResult>")));
            }
            _ => return None,
        }
        Some(Reply::well(204, ""))
    }

    /// The names below a prefix and after a name, as many as were asked for.
    fn listing(&self, path: &str) -> Option<String> {
        let (bucket, query) = path.split_once('?')?;
        let word = |name: &str| {
            let word = query.split('&').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            word.map(|word| word.replace("%2F", "/"))
        };
        let prefix = word("prefix").unwrap_or_default();
        let after = match self.quirk {
            Some(Quirk::ListsAll) => String::new(),
            _ => word("start-after").unwrap_or_default(),
        };
        let most = word("max-keys").map_or(usize::MAX, |most| most.parse().unwrap());
        let mut found: Vec<_> = self
            .objects
            .iter()
            .filter_map(|(path, bytes)| {
                let name = path.strip_prefix(bucket)?.trim_start_matches('/');
                (name.starts_with(&prefix) && *name > *after).then_some((name, bytes.len()))
            })
            .filter(|(name, _)| self.quirk != Some(Quirk::ForgetsNames) || !name.contains("volume"))
            .collect();
        let more = found.len() > most && self.quirk != Some(Quirk::OnePage);
        found.truncate(most);
        let time = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>";
        let names = found.iter().map(|(name, size)| {
            format!("<Contents><Key>{name}</Key>{time}<Size>{size}</Size></Contents>")
        });
        let names: String = names.collect();
        let next = if more { "<NextContinuationToken>x</NextContinuationToken>" } else { "" };
        Some(format!("<ListBucketResult>{names}{next}</ListBucketResult>"))
    }
}
