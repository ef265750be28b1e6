//! Reads the public surface of the crate from its sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use syn::{Fields, FnArg, ImplItem, Item, Pat, Visibility};

use super::{all, compare, fields, is_for, names, strings, surface, words};
use crate::harness::TESTS;

/// Methods of the options that are not options.
const NO_OPTIONS: [&str; 2] = ["new", "open"];

/// Public methods by type with their arguments, public fields by type, variants of enums.
#[derive(Default)]
struct Source {
    methods: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    fields: BTreeMap<String, BTreeSet<String>>,
    variants: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Source {
    fn read() -> Result<Self, String> {
        let mut source = Self::default();
        source.folder(&TESTS.join("../core/src"))?;
        Ok(source)
    }

    fn folder(&mut self, folder: &Path) -> Result<(), String> {
        for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.is_dir() {
                self.folder(&path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
                let file = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
                file.items.iter().for_each(|item| self.item(item));
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Struct(item) if public(&item.vis) => {
                let fields =
                    item.fields.iter().filter(|field| public(&field.vis)).filter_map(|field| field.ident.as_ref());
                self.fields.insert(item.ident.to_string(), fields.map(|name| name.to_string()).collect());
            }
            Item::Enum(item) if public(&item.vis) => {
                let variants =
                    item.variants.iter().map(|variant| (variant.ident.to_string(), field_names(&variant.fields)));
                self.variants.insert(item.ident.to_string(), variants.collect());
            }
            Item::Impl(item) if item.trait_.is_none() => {
                let syn::Type::Path(of) = item.self_ty.as_ref() else { return };
                let Some(of) = of.path.segments.last().map(|segment| segment.ident.to_string()) else { return };
                let methods = item.items.iter().filter_map(|item| match item {
                    ImplItem::Fn(method) if public(&method.vis) => {
                        Some((method.sig.ident.to_string(), argument_names(&method.sig)))
                    }
                    _ => None,
                });
                self.methods.entry(of).or_default().extend(methods);
            }
            _ => {}
        }
    }

    fn options_of(&self, method: &Value) -> BTreeSet<String> {
        let Some(options) = method["options_type"].as_str() else { return BTreeSet::new() };
        if options == "OpenOptions" {
            let methods = self.methods.get(options).into_iter().flatten().map(|(name, _)| name.clone());
            return methods.filter(|name| !NO_OPTIONS.contains(&name.as_str())).collect();
        }
        self.fields.get(options).cloned().unwrap_or_default()
    }
}

fn public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn field_names(fields: &Fields) -> BTreeSet<String> {
    fields.iter().filter_map(|field| field.ident.as_ref().map(ToString::to_string)).collect()
}

fn argument_names(signature: &syn::Signature) -> BTreeSet<String> {
    let arguments = signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(argument) => Some(&argument.pat),
        FnArg::Receiver(_) => None,
    });
    arguments
        .filter_map(|pattern| if let Pat::Ident(name) = pattern.as_ref() { Some(name.ident.to_string()) } else { None })
        .collect()
}

/// Compares the store's methods, their arguments and options.
pub(super) fn methods_and_options() -> Result<(), String> {
    let (surface, source) = (surface()?, Source::read()?);
    let entries = surface["store"].as_object().ok_or("surface.json must have a store")?;
    let ours: BTreeMap<&String, &Value> = entries.iter().filter(|(_, method)| is_for(method, "rust")).collect();
    let methods = source.methods.get("EventStore").ok_or("the crate must have an EventStore")?;
    let same_methods =
        compare("EventStore", &ours.keys().map(|name| (*name).clone()).collect(), &methods.keys().cloned().collect());
    let each = ours
        .iter()
        .filter_map(|(name, method)| methods.get(*name).map(|arguments| (*name, *method, arguments)))
        .map(|(name, method, arguments)| {
            let mut expected = names(method, "arguments", "rust");
            let mut actual = arguments.clone();
            let mut options = source.options_of(method);
            if actual.remove("options") && options.is_empty() {
                options = names(method, "options", "rust");
            }
            expected.extend(names(method, "options", "rust"));
            actual.extend(options);
            compare(&format!("EventStore::{name}"), &expected, &actual)
        });
    all(std::iter::once(same_methods).chain(each))
}

/// Compares the fields of the values and of the errors.
pub(super) fn types_and_errors() -> Result<(), String> {
    let (surface, source) = (surface()?, Source::read()?);
    let types = surface["types"].as_object().ok_or("surface.json must have types")?;
    let each = types.keys().map(|name| {
        let mut actual = source.fields.get(&camel(name)).cloned().unwrap_or_default();
        // `type` is reserved in Rust, and the content type is a method of the payload.
        if actual.remove("event_type") {
            actual.insert("type".to_owned());
        }
        if source.methods.get(&camel(name)).is_some_and(|methods| methods.contains_key("content_type")) {
            actual.insert("content_type".to_owned());
        }
        compare(&camel(name), &fields(&surface, name), &actual)
    });
    let values =
        [("expected", "ExpectedVersion"), ("direction", "Direction"), ("start", "Start"), ("durability", "Durability")]
            .map(|(name, of)| {
                let variants = source.variants.get(of).into_iter().flatten().filter(|(variant, _)| *variant != "Exact");
                compare(of, &words(&surface, name), &variants.map(|(variant, _)| lower(variant, '-')).collect())
            });
    all(each.chain(values).chain([errors(&surface, &source)]))
}

fn errors(surface: &Value, source: &Source) -> Result<(), String> {
    let kinds = source.variants.get("ErrorKind").ok_or("the crate must have an ErrorKind")?;
    let codes = surface["error"]["codes"].as_object().ok_or("surface.json must have error codes")?;
    let same_codes =
        compare("error codes", &codes.keys().cloned().collect(), &kinds.keys().map(|kind| lower(kind, '-')).collect());
    let each = kinds.iter().map(|(kind, fields)| {
        // `where` is reserved in Rust.
        let fields = fields.iter().map(|field| if field == "place" { "where".to_owned() } else { field.clone() });
        compare(kind, &strings(&codes.get(&lower(kind, '-')).cloned().unwrap_or_default()), &fields.collect())
    });
    let methods = source.methods.get("Error").ok_or("the crate must have an Error")?;
    // `std::error::Error::source` returns the cause.
    let attributes: BTreeSet<String> =
        strings(&surface["error"]["attributes"]).into_iter().filter(|name| name != "cause").collect();
    let ours = methods.keys().filter(|name| !matches!(name.as_str(), "kind" | "to_json")).cloned().collect();
    all(each.chain([same_codes, compare("Error", &attributes, &ours)]))
}

/// `recorded_event` to `RecordedEvent`.
fn camel(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

/// `NoStream` to `no-stream`.
fn lower(name: &str, between: char) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(between);
        }
        text.extend(letter.to_lowercase());
    }
    text
}
