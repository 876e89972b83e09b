"""The settings read and judged, and the services read: every fault is found in one go."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gateway.authentication.schemes import scheme_faults
from gateway.database.opening import database_faults
from gateway.errors import ConfigurationError
from gateway.rate_limiting import exemptions, stores
from gateway.upstreams.discovery.eureka_instance import instance_faults
from gateway.webhooks.opening import webhook_faults
from settings import Settings

if TYPE_CHECKING:
    from gateway.service import Service


def load_settings() -> Settings:
    """The settings from the environment. Raises ConfigurationError, a line for each fault."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        ) from None


def read_settings() -> tuple[Settings, list[str]]:
    """The settings and their faults; a faulty one has its default, so that the rest can be
    looked at too."""
    try:
        return load_settings(), []
    except ConfigurationError as error:
        return _with_defaults_for(error.faults), list(error.faults)


@dataclass(frozen=True, slots=True)
class Blueprints:
    """What `blueprints` declares: all services, domains of them by name, and the filters of the
    whole gateway."""

    services: Sequence[Service] = ()
    domains: Mapping[str, Sequence[Service]] = field(default_factory=dict)
    filters: Sequence[Callable[..., Any]] = ()


def read_blueprints(
    services: Sequence[Service] | None = None,
    filters: Sequence[Callable[..., Any]] | None = None,
) -> tuple[Blueprints, list[str]]:
    """What `blueprints` declares; nothing where an option is refused while it is read, and the
    fault with the place to mend. services: given instead, with these filters and no others.
    filters: given instead."""
    if services is not None:
        return Blueprints(services, filters=filters or ()), []
    try:
        import blueprints  # the fork's own, not the core's
        from blueprints import SERVICES
    except (ValueError, TypeError) as error:  # such as an option that there is not
        return Blueprints(), [f"{error} ({_place(error)})"]
    if filters is None:
        filters = getattr(blueprints, "FILTERS", ())
    return Blueprints(SERVICES, getattr(blueprints, "DOMAINS", {}), filters), []


def _place(error: Exception) -> str:
    """The file and line of the fork's own code from which an error came."""
    own = f"{Path(__file__).parent}/"
    frames = traceback.extract_tb(error.__traceback__)
    # The method that a dataclass writes for itself is in "<string>".
    outside = [frame for frame in frames if not frame.filename.startswith((own, "<"))]
    found = (outside or frames)[-1]
    return f"{found.filename}:{found.lineno}"


def setting_faults(settings: Settings) -> list[str]:
    """What is wrong with settings that are well-formed one by one."""
    faults = stores.faults(settings)
    if settings.BIND.startswith("unix:") and "unix" not in settings.TRUSTED_PROXIES:
        faults.append(
            "BIND is a unix socket, so TRUSTED_PROXIES must name `unix`: otherwise all clients"
            " look like one, and share its limits"
        )
    if settings.UPSTREAM_CA_FILE and not Path(settings.UPSTREAM_CA_FILE).is_file():
        faults.append("UPSTREAM_CA_FILE is no file")
    faults += database_faults(settings) + exemptions.faults(settings.RATE_LIMIT_EXEMPT)
    faults += instance_faults(settings) + scheme_faults(settings)
    return faults + webhook_faults(settings)


def _with_defaults_for(faults: Iterable[str]) -> Settings:
    """The settings, with the default of each one that has a fault."""
    names = {fault.partition(":")[0].partition(".")[0] for fault in faults}
    if "PLANS" in names:
        names.add("DEFAULT_PLAN")  # it names one of them
    return Settings(**{name: Settings.model_fields[name].default for name in names})
