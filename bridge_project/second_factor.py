"""An operator's second factor: enrolling an authenticator app, and being asked for its code at sign-in."""

from __future__ import annotations

import base64
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.views.decorators.debug import sensitive_post_parameters
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from ground.scope import current_alias

CODE = {"inputmode": "numeric", "autocomplete": "one-time-code", "placeholder": "123456"}


class CodeForm(forms.Form):
    code = forms.CharField(max_length=8, label="Code from the app", widget=UnfoldAdminTextInputWidget(CODE))


class SignInForm(AuthenticationForm):
    """Name and password, and a code from those who have enrolled an app."""

    code = forms.CharField(
        max_length=8,
        required=False,
        label="Code from your authenticator app",
        help_text="Only if you set one up.",
        widget=UnfoldAdminTextInputWidget(CODE),
    )

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if TOTPDevice.objects.filter(user=user, confirmed=True).exists() and not _fits(user, self.data.get("code", "")):
            raise ValidationError(
                "This account asks for a code from its authenticator app; this one does not fit.", code="second_factor"
            )


@sensitive_post_parameters()
def second_factor(request: HttpRequest) -> HttpResponse:
    """The page of the operator who is signed in."""
    return admin.site.admin_view(_second_factor)(request)


def _second_factor(request: HttpRequest) -> HttpResponse:
    """Shows the secret until the app's first code has proved that it was taken over, and never again."""
    user: Any = request.user
    enrolled = TOTPDevice.objects.filter(user=user, confirmed=True).first()
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        done = _disable(user, form.cleaned_data["code"]) if enrolled else _confirm(user, form.cleaned_data["code"])
        if done:
            says = "Switched off." if enrolled else "Switched on. Sign-in asks for a code from now on."
            messages.success(request, says)
            return HttpResponseRedirect(request.path)
        form.add_error("code", "This code does not fit. Codes change every 30 seconds; is the phone's clock right?")
    device = None if enrolled else _device_to_enrol(user)
    context = admin.site.each_context(request) | {
        "title": "Second factor",
        "form": form,
        "enrolled": enrolled,
        "secret": _readable(device) if device else "",
        "address": device.config_url if device else "",
    }
    return TemplateResponse(request, "admin/bridge/second_factor.html", context, headers={"Cache-Control": "no-store"})


def _device_to_enrol(user: User) -> TOTPDevice:
    device, _ = TOTPDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": "authenticator app"})
    return device


def _readable(device: TOTPDevice) -> str:
    text = base64.b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def _confirm(user: User, code: str) -> bool:
    with transaction.atomic(using=current_alias()):
        device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=False).first()
        if device is None or not device.verify_token(code):
            return False
        device.confirmed = True
        device.save(update_fields=["confirmed"])
    return True


def _disable(user: User, code: str) -> bool:
    if not _fits(user, code):
        return False
    TOTPDevice.objects.filter(user=user).delete()
    return True


def _fits(user: User, code: str) -> bool:
    """Whether a code is right; a code counts once, and wrong ones make the next wait."""
    with transaction.atomic(using=current_alias()):
        devices = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True)
        return any(device.verify_token(code) for device in devices)
