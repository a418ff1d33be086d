"""Files that explain themselves: atomic writes, digests, schema versions, manifests, the cache."""

from tilewise.store.artifact import read_json, read_table, write_json, write_table
from tilewise.store.atomic import atomic_path, flush_together, write_bytes, write_text
from tilewise.store.cache_folder import cache_dir, cache_writes, scratch_cache
from tilewise.store.checksummed import MANIFEST_NAME, read_file
from tilewise.store.damaged import remove_damaged
from tilewise.store.digest import digest_bytes, digest_config, digest_file
from tilewise.store.disk_full import room_in
from tilewise.store.edited import (
    edited_files,
    forget_written,
    is_as_written,
    keep_edited,
    record_written,
    write_editable,
)
from tilewise.store.folder import (
    Inputs,
    check_out,
    check_out_file,
    check_out_place,
    check_outside_runs,
    path_below,
    visible_names,
)
from tilewise.store.lock import folder_lock
from tilewise.store.manifest import REVIEW, Damage, Manifest, verify
from tilewise.store.tensors import read_checksummed_tensors, read_tensors, write_checksummed_tensors, write_tensors

__all__ = [
    "MANIFEST_NAME",
    "REVIEW",
    "Damage",
    "Inputs",
    "Manifest",
    "atomic_path",
    "cache_dir",
    "cache_writes",
    "check_out",
    "check_out_file",
    "check_out_place",
    "check_outside_runs",
    "digest_bytes",
    "digest_config",
    "digest_file",
    "edited_files",
    "flush_together",
    "folder_lock",
    "forget_written",
    "is_as_written",
    "keep_edited",
    "path_below",
    "read_checksummed_tensors",
    "read_file",
    "read_json",
    "read_table",
    "read_tensors",
    "record_written",
    "remove_damaged",
    "room_in",
    "scratch_cache",
    "verify",
    "visible_names",
    "write_bytes",
    "write_checksummed_tensors",
    "write_editable",
    "write_json",
    "write_table",
    "write_tensors",
    "write_text",
]
