from __future__ import annotations

from django.urls import path

from clients import api

urlpatterns = [
    path("clients", api.ClientsView.as_view()),
    path("clients/create", api.CreateClientView.as_view()),
    path("clients/by-wallet/<str:address>", api.ClientByWalletView.as_view()),
    path("clients/<str:client>/wallet", api.WalletsView.as_view()),
    path("clients/<str:client>/wallet/<str:wallet>", api.WalletView.as_view()),
    path("clients/<str:client>/connector/<str:connector>", api.ConnectorView.as_view()),
]
