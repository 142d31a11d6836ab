from __future__ import annotations

from django.urls import path

from arena import api, api_prompts, api_summaries

# The old arena's paths, and the same beside the ledger's.
urlpatterns = [
    path("api/bots/<str:bot>/pause", api.ToggleView.as_view()),
    path("api/v2/bots/<str:bot>/pause", api.PauseView.as_view()),
]
for _prefix in ("api/bots", "api/v2/bots"):
    urlpatterns += [
        path(f"{_prefix}/<str:bot>/close-position", api.ClosePositionView.as_view()),
        path(f"{_prefix}/<str:bot>/force-turn", api.ForceTurnView.as_view()),
    ]
urlpatterns += [
    path("api/v2/bots/<str:bot>/reset", api.ResetView.as_view()),
    path("api/v2/bots/<str:bot>/clone", api.CloneView.as_view()),
    path("api/v2/bots/<str:bot>/clear-learning", api.ClearLearningView.as_view()),
    path("api/v2/bots/<str:bot>/prompt-versions", api_prompts.PromptVersionsView.as_view()),
    path("api/v2/bots/<str:bot>/history-summary", api_summaries.HistorySummaryView.as_view()),
    path("api/v2/bots/<str:bot>/force-summarize", api_summaries.ForceSummarizeView.as_view()),
]
